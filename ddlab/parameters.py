"""Parameters of a network: their names, what runs along their axes, and which weights are the largest."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

# Name of the axis of weights of which each layer has its own.
LAYERS = "layers"


class Parameter(NamedTuple):
    """A trainable parameter of a network.

    Attributes:
        axes: the names of its axes; none: it does not name them.
        units: what lies along each, as `ddlab.models.Axis` says; likewise.
        shape: its entries along each.
    """

    axes: tuple[str, ...]
    units: tuple[str, ...]
    shape: tuple[int, ...]

    @property
    def is_weight(self) -> bool:
        """Whether it has an axis of inputs, besides one of layers."""
        return len(self.shape) - self.is_stacked >= -self.input_axis

    @property
    def is_stacked(self) -> bool:
        """Whether its first axis is one of layers, of which each has its own."""
        return self.axes[:1] == (LAYERS,)

    @property
    def input_axis(self) -> int:
        """The axis of a weight, counted from the last, whose entries are the inputs of a unit: that before its outputs.

        These are one axis, but the two of heads and their entries where it gives queries, keys or values; and of what each expert
        has of its own the last is its outputs, that before its inputs.
        """
        return -3 if self.units[-2:-1] in (("head",), ("expert",)) else -2


def described(tree: Any) -> dict[str, Parameter]:
    """Return what the parameters of a network are, by their dotted names; of their arrays the shapes are looked at alone."""
    leaves = jax.tree.leaves(tree, is_leaf=lambda node: isinstance(node, nnx.Variable))
    return {
        name: Parameter(tuple(getattr(leaf, "axes", ())), tuple(getattr(leaf, "units", ())), array.shape)
        for (name, array), leaf in zip(named(tree).items(), leaves, strict=True)
    }


def named(tree: Any) -> dict[str, Any]:
    """Return the arrays of a pytree by their dotted names, such as "layers.0.weight"."""
    return {_name(path): array for path, array in jax.tree.leaves_with_path(tree)}


def replaced(tree: Any, name: str, array: jax.Array) -> Any:
    """Return a pytree with another array under a dotted name."""
    return jax.tree.map_with_path(lambda path, old: array if _name(path) == name else old, tree)


def filled(shapes: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """Return a pytree of shapes with arrays in their places, by dotted name, each cut to its shape."""

    def cut(path: Any, shape: Any) -> np.ndarray:
        return arrays[_name(path)][tuple(map(slice, shape.shape))]

    return jax.tree.map_with_path(cut, shapes)


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".").removesuffix(".value")


# --- the largest weights ------------------------------------------------------------------------------------------------


def largest(tree: Any, counted: Any, drop: Any) -> Any:
    """Return which weights are left where a share of each layer is dropped, the smallest by magnitude; all of what is no weight.

    Of n weights that count, exactly n - round(drop n) are left; equal ones are dropped from the last on.

    Args:
        tree: parameters of a network.
        counted: bool like them, which of the weights count; the others are not left.
        drop: the share, [].
    """

    def left(parameter: Parameter, array: jax.Array, counted: jax.Array) -> jax.Array:
        if not parameter.is_weight:
            return jnp.ones_like(counted)
        if parameter.is_stacked:
            return jax.vmap(partial(_largest, drop=drop))(array, counted)
        return _largest(array, counted, drop)

    arrays = (jax.tree.leaves(each) for each in (tree, counted))
    return jax.tree.unflatten(jax.tree.structure(tree), map(left, described(tree).values(), *arrays))


def _largest(array: jax.Array, counted: jax.Array, drop: Any) -> jax.Array:
    num = jnp.sum(counted, dtype=jnp.int32)
    num_left = num - jnp.round(drop * num.astype(array.dtype)).astype(jnp.int32)
    order = jnp.argsort(jnp.where(counted, -jnp.abs(array), jnp.inf), axis=None)
    places = jnp.arange(array.size, dtype=jnp.int32)
    return jnp.zeros_like(places).at[order].set(places).reshape(array.shape) < num_left
