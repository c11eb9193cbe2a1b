"""How a network begins: parameters drawn independently of the pack they lie in, and how they are counted.

A narrow network is a wide one with dead units: their incoming and outgoing weights and biases start at zero, their
activation maps 0 to 0, so their gradient is exactly zero at every step, and weight decay, momentum and Adam keep zero at
zero. `Init` draws every parameter at the padded size and zeroes what lies beyond the active size of each axis.
"""

from __future__ import annotations

import abc
import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax.extend.random import threefry_2x32

from ddlab.data import Spec
from ddlab.errors import ConfigError, inside
from ddlab.plan import Size
from ddlab.streams import stream


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


# A function (name, shape) -> uint32 of that shape: the random words of a parameter.
Words = Callable[[str, tuple[int, ...]], jax.Array]


def draw_words(key: jax.Array, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, jax.Array]:
    """Return random words for every entry of every parameter, drawn in one call.

    Word (i, j, ...) of a parameter is Threefry-2x32 (Salmon et al. 2011) of the counter (i, j, ...) under a key made of the
    trial's and the parameter's name; it depends on no shape.

    Args:
        key: [2] uint32, of the trial's stream "init".
        shapes: parameter's name -> shape.
    """
    if not shapes:
        return {}
    sizes = [math.prod(shape) for shape in shapes.values()]
    keys = [jnp.broadcast_to(key ^ stream(0, name), (size, 2)) for name, size in zip(shapes, sizes, strict=True)]
    counters = [_counters(shape or (1,)) for shape in shapes.values()]
    words = jax.vmap(threefry_2x32)(jnp.concatenate(keys), jnp.concatenate(counters))[:, 0]
    pieces = jnp.split(words, list(itertools.accumulate(sizes))[:-1])
    return {name: piece.reshape(shape) for (name, shape), piece in zip(shapes.items(), pieces, strict=True)}


def record_draws() -> tuple[Words, dict[str, tuple[int, ...]]]:
    """Return words that are all zero, and a dictionary that takes the name and shape of each parameter drawn with them."""
    shapes: dict[str, tuple[int, ...]] = {}

    def words(name: str, shape: tuple[int, ...]) -> jax.Array:
        if name in shapes:
            raise ValueError(f"two parameters of the network draw under one name, '{name}'")
        shapes[name] = shape
        return jnp.zeros(shape, jnp.uint32)

    return words, shapes


def _counters(shape: tuple[int, ...]) -> jax.Array:
    """Return the counter [entries, 2] of each entry: its last index, and the others side by side in 32 bits."""
    *rows, _ = indices = [jax.lax.broadcasted_iota(jnp.uint32, shape, axis).ravel() for axis in range(len(shape))]
    bits = 32 // max(1, len(rows))
    if any(size > 2**bits for size in shape[:-1]):
        raise ValueError(f"a parameter of shape {shape}: all axes but the last must have at most {2**bits} entries")
    code = sum((index << (bits * axis) for axis, index in enumerate(rows)), jnp.zeros_like(indices[-1]))
    return jnp.stack([code, indices[-1]], axis=1)


class Init:
    """Draws the initial parameters of one trial.

    Entry (i, j, ...) of a parameter depends on the trial's seed, the parameter's name and i, j, ... alone, never on a shape:
    a trial starts from the same numbers at any padded width (tested bit for bit), and at any floating-point type to rounding.
    """

    def __init__(self, words: Words, padded: Mapping[str, int] | None = None, dtype: Any = jnp.float32):
        """
        Args:
            words: gives the random words of a parameter by its name and shape; each name is used once.
            padded: array size of padded axes by name; an axis that is not named has its active size.
            dtype: of the parameters.
        """
        self._words = words
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
        return self._parameter(axes, std * self.draw_normal(name, axes))

    def uniform(self, name: str, axes: tuple[Axis, ...], std: Any) -> nnx.Param:
        """Return a parameter with entries uniform in +-sqrt(3) std (variance std^2), zero beyond the active sizes."""
        return self._parameter(axes, std * 3**0.5 * self.draw_symmetric(name, axes))

    def zeros(self, axes: tuple[Axis, ...]) -> nnx.Param:
        """Return a parameter that starts at zero."""
        return self._parameter(axes, jnp.zeros(_shape(axes), self._dtype))

    def constant(self, value: Any) -> Constant:
        """Return untrained numbers."""
        return Constant(jnp.asarray(value, self._dtype))

    def live(self, axis: Axis) -> jax.Array:
        """Return 1 for the live entries of an axis and 0 beyond, [size]."""
        return (jnp.arange(axis.size, dtype=jnp.int32) < axis.active).astype(self._dtype)

    def draw_normal(self, name: str, axes: tuple[Axis, ...]) -> jax.Array:
        """Return numbers N(0, 1), also beyond the active sizes."""
        return 2**0.5 * jax.lax.erf_inv(self.draw_symmetric(name, axes))

    def draw_symmetric(self, name: str, axes: tuple[Axis, ...]) -> jax.Array:
        """Return numbers uniform in (-1, 1), also beyond the active sizes: odd multiples of 2^-24, exact in float32."""
        odd = (self._words(name, _shape(axes)) >> 8).astype(jnp.int32) * 2 + (1 - 2**24)
        return (odd.astype(jnp.float32) * 2.0**-24).astype(self._dtype)

    def _parameter(self, axes: tuple[Axis, ...], value: jax.Array) -> nnx.Param:
        for dimension, axis in enumerate(axes):
            live = self.live(axis).astype(bool).reshape([-1] + [1] * (len(axes) - dimension - 1))
            value = jnp.where(live, value, 0)
        return nnx.Param(value.astype(self._dtype), axes=tuple(axis.name for axis in axes))


def _shape(axes: tuple[Axis, ...]) -> tuple[int, ...]:
    return tuple(axis.size for axis in axes)


class Model(abc.ABC):
    """Base of model components. A user's own needs `make` only.

    Class attributes:
        PADDED: field of mark WIDTH -> name of the logical axis that it sizes, for models that may be zero-padded.
        LINEAR_IN_INPUTS: the outputs are a linear function of the inputs.
    """

    PADDED: ClassVar[Mapping[str, str]] = {}
    LINEAR_IN_INPUTS: ClassVar[bool] = False

    @abc.abstractmethod
    def make(self, spec: Spec, init: Init) -> nnx.Module:
        """Return the network: a module that maps a batch of inputs [B, *input_shape] to outputs [B, K].

        Inside a compiled program the traced fields of `self` are tracers. Every parameter must come from `init`.
        """


class _Blank(Init):
    """Gives parameters of the right shapes without drawing them, which takes most of the time of tracing a network."""

    def __init__(self) -> None:
        super().__init__(lambda _name, shape: jnp.zeros(shape, jnp.uint32))

    def draw_symmetric(self, name: str, axes: tuple[Axis, ...]) -> jax.Array:
        del name
        return jnp.zeros(_shape(axes), self._dtype)

    def _parameter(self, axes: tuple[Axis, ...], value: jax.Array) -> nnx.Param:
        del value
        return nnx.Param(jnp.zeros(_shape(axes), self._dtype))


def make_network(model: Any, spec: Spec, init: Init) -> nnx.Module:
    """Return the network of a model component, as `Model.make`.

    Raises:
        ComponentError: what it gives is no network whose state is parameters and constants.
    """
    with inside(model, "make"):
        network = model.make(spec, init)
        if not isinstance(network, nnx.Module):
            raise TypeError(f"must return a flax.nnx.Module, not {type(network).__name__}")
        variables = jax.tree.leaves(nnx.state(network), is_leaf=lambda node: isinstance(node, nnx.Variable))
        for variable in variables:
            if not isinstance(variable, nnx.Param | Constant):
                raise TypeError(f"variables must be nnx.Param or ddlab.models.Constant; {type(variable).__name__} is neither")
    return network


def apply_network(model: Any, network: Any, inputs: jax.Array, spec: Spec) -> jax.Array:
    """Return the outputs [B, K] of a network for inputs [B, *input_shape].

    Raises:
        ComponentError: they are anything else.
    """
    with inside(model, "make"):
        outputs = network(inputs)
        wanted = (len(inputs), spec.num_outputs)
        if not isinstance(outputs, jax.Array) or outputs.shape != wanted or not jnp.issubdtype(outputs.dtype, jnp.floating):
            found = getattr(outputs, "shape", type(outputs).__name__)
            raise TypeError(f"the network must give real outputs of shape {wanted}, one array; it gave {found}")
    return outputs


def count(model: Any, spec: Spec) -> tuple[int, int]:
    """Return P, the number of trainable parameters, and the number of units (outputs of all weight matrices)."""
    return _count(nnx.eval_shape(lambda: make_network(model, spec, _Blank())))


def _count(network: nnx.Module) -> tuple[int, int]:
    shapes = [leaf.shape for leaf in jax.tree.leaves(nnx.state(network, nnx.Param))]
    return sum(map(math.prod, shapes)), sum(shape[-1] for shape in shapes if len(shape) > 1)


def size_of(model: Any, spec: Spec) -> Size:
    """Return what decides the cost of a trial of this network on this data.

    Multiply-adds are those of matrix products and convolutions for one example: a `lax.scan` counts for each of its turns, a
    `lax.cond` as its dearest branch, a `lax.while_loop` as one turn.

    Raises:
        ComponentError: from the model's own code.
    """
    found: list[tuple[int, int]] = []

    def outputs(x: jax.Array) -> jax.Array:
        network = make_network(model, spec, _Blank())
        found.append(_count(network))
        return apply_network(model, network, x, spec)

    x = jax.ShapeDtypeStruct((1, *spec.input_shape), jnp.float32 if spec.alphabet is None else jnp.int32)
    products = _products_of(jax.make_jaxpr(outputs)(x).jaxpr)
    num_params, num_units = found[0]
    sizes = (num_params, max(1, num_units), max(1, products))
    return Size(*sizes, math.prod(spec.input_shape), spec.num_train, spec.num_test, spec.num_outputs)


def _products_of(jaxpr: Any) -> int:
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            lengths = [equation.invars[0].aval.shape[axis] for axis in contracted]
            total += math.prod(equation.outvars[0].aval.shape) * math.prod(lengths)
        elif equation.primitive.name == "conv_general_dilated":
            kernel, features = equation.invars[1].aval.shape, equation.params["dimension_numbers"].rhs_spec[0]
            total += math.prod(equation.outvars[0].aval.shape) * math.prod(kernel) // kernel[features]
        for value in equation.params.values():
            branches = [_products_of(inner) for inner in _jaxprs(value)]
            total += equation.params.get("length", 1) * max(branches, default=0)
    return total


def _jaxprs(value: Any) -> list[Any]:
    """Return the programs in a parameter of an operation: one, those of the branches of a condition, or none."""
    values = value if isinstance(value, tuple | list) else (value,)
    inner = [getattr(value, "jaxpr", value) for value in values]
    return [jaxpr for jaxpr in inner if hasattr(jaxpr, "eqns")]


def settle_width(model: Any, spec: Spec, wanted: int, field: str, most: int) -> int:
    """Return the width whose parameter count is nearest to `wanted` (bisection; P grows with width).

    Args:
        model: the component.
        spec: sizes of the data.
        wanted: parameters.
        field: of the model that is its width.
        most: widest that is tried.

    Raises:
        ConfigError: no width has about so many parameters.
    """

    def num_params(width: int) -> int:
        return count(replace(model, **{field: width}), spec)[0]

    if num_params(1) > wanted:
        raise ConfigError(f"model.num_params={wanted}: must be at least {num_params(1)}, the parameters at {field} 1")
    low, high = 1, 2
    while num_params(high) < wanted:
        low, high = high, 2 * high
        if high > 2 * most:
            raise ConfigError(f"model.num_params={wanted}: is more than {type(model).__name__} has at any {field} up to {most}")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if num_params(middle) < wanted else (low, middle)
    return min((low, high), key=lambda width: abs(num_params(width) - wanted))
