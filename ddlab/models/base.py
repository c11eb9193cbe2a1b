"""How a network begins: parameters drawn independently of the pack they lie in, and how they are counted.

A narrow network is a wide one with dead units: their incoming and outgoing weights and biases start at zero, their
activation maps 0 to 0, so their gradient is exactly zero at every step, and weight decay, momentum and Adam keep zero at
zero. `Init` draws every parameter at the padded size and zeroes what lies beyond the active size of each axis.
"""

from __future__ import annotations

import abc
import hashlib
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from ddlab.data import Spec
from ddlab.errors import ConfigError


class Axis(NamedTuple):
    """A logical axis of parameters.

    Attributes:
        name: what runs along it ("inputs", "width", "outputs"); says what to pad.
        active: number of live entries; a traced integer for a padded axis.
        size: number of entries in the array.
    """

    name: str
    active: Any
    size: int


class Constant(nnx.Variable):
    """A number of the network that is not trained, such as the multiplier of a parametrisation."""


def stream(key: jax.Array, name: str) -> jax.Array:
    """Return the key of a named random stream: independent of other names, equal in every process."""
    return jax.random.fold_in(key, int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big"))


class Init:
    """Draws the initial parameters of one trial.

    Entry (i, j, ...) of a parameter depends on the key, the parameter's name and i, j, ... alone, never on a shape: a
    trial starts from the same numbers at any padded width (tested bit for bit).
    """

    def __init__(self, key: jax.Array, padded: Mapping[str, int] | None = None, dtype: Any = jnp.float32):
        """
        Args:
            key: the trial's initialisation key.
            padded: array size of padded axes by name; an axis that is not named has its active size.
            dtype: of the parameters.
        """
        self._key = key
        self._padded = padded or {}
        self._dtype = dtype

    def axis(self, name: str, active: Any) -> Axis:
        """Return an axis with its padded size."""
        size = self._padded.get(name)
        return Axis(name, active, int(active) if size is None else size)

    def length(self, axis: Axis) -> jax.Array:
        """Return the active size of an axis as a number of the parameters' type, for fan-in scaling."""
        return jnp.asarray(axis.active, self._dtype)

    def normal(self, name: str, axes: tuple[Axis, ...], std: Any) -> nnx.Param:
        """Return a parameter with entries N(0, std^2), zero beyond the active sizes."""
        return self._draw(name, axes, std, jax.random.normal)

    def uniform(self, name: str, axes: tuple[Axis, ...], std: Any) -> nnx.Param:
        """Return a parameter with entries uniform in +-sqrt(3) std (variance std^2), zero beyond the active sizes."""

        def symmetric(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
            return jax.random.uniform(key, shape, dtype, -(3**0.5), 3**0.5)

        return self._draw(name, axes, std, symmetric)

    def zeros(self, name: str, axes: tuple[Axis, ...]) -> nnx.Param:
        """Return a parameter that starts at zero."""
        return self._draw(name, axes, 0.0, lambda _key, shape, dtype: jnp.zeros(shape, dtype))

    def constant(self, value: Any) -> Constant:
        """Return an untrained number."""
        return Constant(jnp.asarray(value, self._dtype))

    def _draw(self, name: str, axes: tuple[Axis, ...], std: Any, sample: Any) -> nnx.Param:
        *rows, last = axes

        # A row's numbers are a prefix of a longer row's: JAX's counter-based generator gives entry j from (key, j) alone.
        def fill(key: jax.Array, rows: list[Axis]) -> jax.Array:
            if not rows:
                return sample(key, (last.size,), self._dtype)
            indices = jnp.arange(rows[0].size)
            return jax.vmap(lambda index: fill(jax.random.fold_in(key, index), rows[1:]))(indices)

        value = jnp.asarray(std, self._dtype) * fill(stream(self._key, name), rows)
        for dimension, axis in enumerate(axes):
            live = jnp.arange(axis.size, dtype=jnp.int32) < axis.active
            value = jnp.where(live.reshape([-1] + [1] * (len(axes) - dimension - 1)), value, 0)
        return nnx.Param(value, axes=tuple(axis.name for axis in axes))


class Model(abc.ABC):
    """Base of model components. A user's own needs `make` only.

    Class attributes:
        PADDED: field of mark WIDTH -> name of the logical axis that it sizes, for models that may be zero-padded.
    """

    PADDED: ClassVar[Mapping[str, str]] = {}

    @abc.abstractmethod
    def make(self, spec: Spec, init: Init) -> nnx.Module:
        """Return the network: a module that maps a batch of inputs [B, *input_shape] to outputs [B, K].

        Inside a compiled program the traced fields of `self` are tracers. Every parameter must come from `init`.
        """


def count(model: Model, spec: Spec) -> tuple[int, int]:
    """Return P, the number of trainable parameters, and the number of units (outputs of all weight matrices)."""
    network = nnx.eval_shape(lambda: model.make(spec, Init(jax.random.key(0))))
    shapes = [leaf.shape for leaf in jax.tree.leaves(nnx.state(network, nnx.Param))]
    return sum(map(math.prod, shapes)), sum(shape[-1] for shape in shapes if len(shape) > 1)


def settle_width(model: Any, spec: Spec, wanted: int) -> Any:
    """Return the model with the width whose parameter count is nearest to `wanted` (bisection; P grows with width).

    Raises:
        ConfigError: width 1 has more than the wanted parameters.
    """

    def num_params(width: int) -> int:
        return count(replace(model, width=width), spec)[0]

    if num_params(1) > wanted:
        raise ConfigError(f"model.num_params={wanted}: must be at least {num_params(1)}, the parameters at width 1")
    low, high = 1, 2
    while num_params(high) < wanted:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if num_params(middle) < wanted else (low, middle)
    width = min((low, high), key=lambda width: abs(num_params(width) - wanted))
    return replace(model, width=width, num_params=None)
