"""How a network begins: parameters drawn independently of the pack they lie in.

A narrow network is a wide one with dead units: their incoming and outgoing weights and biases start at zero, their
activation maps 0 to 0, so their gradient is exactly zero at every step, and weight decay, momentum and Adam keep zero at
zero. `Init` draws every parameter at the padded size and zeroes what lies beyond the active size of each axis.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax.extend.random import threefry_2x32

from ddlab.errors import ConfigError
from ddlab.streams import stream


class Axis(NamedTuple):
    """A logical axis of parameters.

    Attributes:
        name: what runs along it ("inputs", "width", "outputs"); says what to pad.
        active: number of live entries; a traced integer for a padded axis.
        size: number of entries in the array.
        unit: what its entries are, if each is a unit that the parameters with an axis of this name share, and that is as good as
            gone where all of its entries are 0: "neuron", "channel", "head" or "expert"; empty: none.
    """

    name: str
    active: Any
    size: int
    unit: str = ""


class Constant(nnx.Variable):
    """A number of the network that is not trained, such as the multiplier of a parametrisation."""


# A function (name, shape) -> uint32 of that shape: the random words of a parameter.
Words = Callable[[str, tuple[int, ...]], jax.Array]


def folded(key: jax.Array, number: jax.Array) -> jax.Array:
    """Return the key [2] uint32 that belongs to a key and a number, such as a step."""
    return threefry_2x32(key, jnp.stack([number.astype(jnp.uint32), jnp.zeros((), jnp.uint32)]))


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
    for name, shape in shapes.items():
        if any(size > 2 ** _bits(shape) for size in shape[:-1]):
            most = f"all of its axes but the last may have at most {2 ** _bits(shape):,} entries"
            raise ConfigError(f"model: too large, of its parameter {name} of shape {list(shape)} {most}")
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
    bits = _bits(shape)
    code = sum((index << (bits * axis) for axis, index in enumerate(rows)), jnp.zeros_like(indices[-1]))
    return jnp.stack([code, indices[-1]], axis=1)


def _bits(shape: tuple[int, ...]) -> int:
    """Return how many bits of a counter there are for each index but the last."""
    return 32 // max(1, len(shape) - 1)


def symmetric(words: jax.Array, dtype: Any) -> jax.Array:
    """Return numbers uniform in (-1, 1) of random words: odd multiples of 2^-24, exact in float32."""
    odd = (words >> 8).astype(jnp.int32) * 2 + (1 - 2**24)
    return (odd.astype(jnp.float32) * 2.0**-24).astype(dtype)


class Init:
    """Draws the initial parameters of one trial.

    Entry (i, j, ...) of a parameter depends on the trial's seed, the parameter's name and i, j, ... alone, never on a shape:
    a trial starts from the same numbers at any padded width (tested bit for bit), and at any floating-point type to rounding.

    Attributes:
        sizes: array size of each axis that was asked for, by name.
    """

    def __init__(self, words: Words, sizes: Mapping[str, int] | None = None, dtype: Any = jnp.float32):
        """
        Args:
            words: gives the random words of a parameter by its name and shape; each name is used once.
            sizes: array size of each axis by name; an axis that is not named has its active size.
            dtype: of the parameters.
        """
        self._words, self._dtype = words, dtype
        self._given = sizes or {}
        self.sizes: dict[str, int] = {}

    def axis(self, name: str, active: Any, unit: str = "") -> Axis:
        """Return an axis of so many live entries, padded to the size that it has for the largest trial of the pack.

        The name stands for the size: axes of one name are as long as each other; where they have units, they have the same ones.
        An axis may be made of a size of the config, such as 4 times the width, but must grow with it.

        Raises:
            ValueError: another axis of the name has another size.
        """
        size = self._given[name] if name in self._given else int(active)
        if self.sizes.setdefault(name, size) != size:
            raise ValueError(f"axis '{name}' has {size} entries here, and {self.sizes[name]} elsewhere in the network")
        return Axis(name, active, size, unit)

    def length(self, axis: Axis) -> jax.Array:
        """Return the active size of an axis, [] of the parameters' type, for fan-in scaling."""
        return jnp.asarray(axis.active, self._dtype)

    def normal(self, name: str, axes: tuple[Axis, ...], std: Any) -> nnx.Param:
        """Return a parameter with entries N(0, std^2), zero beyond the active sizes."""
        return self._parameter(axes, std * self.draw_normal(name, axes))

    def uniform(self, name: str, axes: tuple[Axis, ...], std: Any) -> nnx.Param:
        """Return a parameter with entries uniform in +-sqrt(3) std (variance std^2), zero beyond the active sizes."""
        return self._parameter(axes, std * 3**0.5 * self.draw_symmetric(name, axes))

    def zeros(self, axes: tuple[Axis, ...]) -> nnx.Param:
        """Return a parameter that starts at zero."""
        return self.full(axes, 0.0)

    def full(self, axes: tuple[Axis, ...], value: Any) -> nnx.Param:
        """Return a parameter with entries that start at one value, or at those of an array; zero beyond the active sizes."""
        return self._parameter(axes, jnp.full(_shape(axes), value, self._dtype))

    def statistic(self, axes: tuple[Axis, ...], value: float = 0.0) -> nnx.BatchStat:
        """Return a statistic of batches that begins at a value."""
        return nnx.BatchStat(jnp.full(_shape(axes), value, self._dtype))

    def constant(self, value: Any) -> Constant:
        """Return untrained numbers."""
        return Constant(jnp.asarray(value, self._dtype))

    def live(self, axis: Axis) -> jax.Array:
        """Return 1 for the live entries of an axis and 0 beyond, [size]."""
        return (jnp.arange(axis.size, dtype=jnp.int32) < axis.active).astype(self._dtype)

    def draw_normal(self, name: str, axes: tuple[Axis, ...]) -> jax.Array:
        """Return numbers N(0, 1), one for each entry of the padded axes, also beyond the active sizes."""
        return 2**0.5 * jax.lax.erf_inv(self.draw_symmetric(name, axes))

    def draw_symmetric(self, name: str, axes: tuple[Axis, ...]) -> jax.Array:
        """Return numbers uniform in (-1, 1), one for each entry of the padded axes: odd multiples of 2^-24, exact in float32."""
        return symmetric(self._words(name, _shape(axes)), self._dtype)

    def _parameter(self, axes: tuple[Axis, ...], value: jax.Array) -> nnx.Param:
        for dimension, axis in enumerate(axes):
            live = self.live(axis).astype(bool).reshape([-1] + [1] * (len(axes) - dimension - 1))
            value = jnp.where(live, value, 0)
        return self._with_axes(axes, value.astype(self._dtype))

    def _with_axes(self, axes: tuple[Axis, ...], value: jax.Array) -> nnx.Param:
        """Return a parameter that says what runs along its axes."""
        return nnx.Param(value, axes=tuple(axis.name for axis in axes), units=tuple(axis.unit for axis in axes))


def _shape(axes: tuple[Axis, ...]) -> tuple[int, ...]:
    return tuple(axis.size for axis in axes)
