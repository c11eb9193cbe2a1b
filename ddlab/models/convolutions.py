"""Convolutions as slices and one product, and pooling; of signals [B, L, C] and images [B, H, W, C], channels last.

Inside a loop XLA's own convolution is ten times slower on a CPU (jax issue 12868); for many trials at once it is a grouped one.
"""

from __future__ import annotations

import functools
import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from ddlab.data import Spec
from ddlab.errors import ConfigError
from ddlab.models.init import Axis, Init
from ddlab.models.layers import drawn, fan_in_of
from ddlab.models.products import matmul


class Window(NamedTuple):
    """What an output of a convolution reads, along each of the places of its inputs.

    Attributes:
        dimensions: of the places: 1 for signals, 2 for images.
        size: places along each.
        stride: from one output to the next.
        padding: zeros before the first place and behind the last one.
    """

    dimensions: int
    size: int
    stride: int = 1
    padding: int = 0

    @property
    def taps(self) -> int:
        """Places of a window."""
        return self.size**self.dimensions

    def num_outputs(self, places: int) -> int:
        """Return how many outputs there are along places."""
        return (places + 2 * self.padding - self.size) // self.stride + 1


def convolve(x: jax.Array, weight: jax.Array, window: Window) -> jax.Array:
    """Return the cross-correlation of x [B, *places, C] with a weight [taps, C, D], [B, *outputs, D].

    The taps of a window of an image are in the order of its rows.
    """
    padding = [(window.padding, window.padding)] * window.dimensions
    padded = jnp.pad(x, [(0, 0), *padding, (0, 0)])
    outputs = tuple(map(window.num_outputs, x.shape[1:-1]))
    patches = jnp.concatenate([_read(padded, start, outputs, window) for start in _starts(window)], axis=-1)
    found = matmul(patches.reshape(-1, patches.shape[-1]), weight.reshape(-1, weight.shape[-1]))
    return found.reshape(len(x), *outputs, -1)


def _starts(window: Window) -> list[tuple[int, ...]]:
    return list(itertools.product(range(window.size), repeat=window.dimensions))


def _read(x: jax.Array, start: tuple[int, ...], outputs: tuple[int, ...], window: Window) -> jax.Array:
    """Return what one tap of each window reads, [B, *outputs, C]."""
    ends = [begin + window.stride * (number - 1) + 1 for begin, number in zip(start, outputs, strict=True)]
    strides = (1, *[window.stride] * window.dimensions, 1)
    return jax.lax.slice(x, (0, *start, 0), (len(x), *ends, x.shape[-1]), strides)


def max_pool(x: jax.Array, size: int) -> jax.Array:
    """Return the maxima over blocks of `size` places along each dimension; places left over at the end are dropped.

    Of equal ones the first has the gradient, in the order of rows, as in PyTorch. (That of `jnp.max` goes to what equals the
    maximum: where the compiler computes an entry once more, rounded otherwise, to nothing.)
    """
    for axis in range(x.ndim - 2, 0, -1):
        end = x.shape[axis] // size * size
        entries = [jax.lax.slice_in_dim(x, start, end, size, axis) for start in range(size)]
        x = functools.reduce(lambda most, entry: jnp.where((most >= entry) | jnp.isnan(most), most, entry), entries)
    return x


class Convolution(nnx.Module):
    """A convolution [B, *places, C] -> [B, *outputs, D], with a bias for each output channel if it has one."""

    def __init__(self, weight: nnx.Param, bias: nnx.Param | None, window: Window):
        self.weight, self.bias, self.window = weight, bias, window

    def __call__(self, x: jax.Array) -> jax.Array:
        found = convolve(x, self.weight[...], self.window)
        return found if self.bias is None else found + self.bias[...]


def convolution(
    name: str, channels: tuple[Axis, Axis], window: Window, init: Init, initializer: str, scale: float, bias: bool
) -> Convolution:
    """Return a convolution whose weights begin as those of a linear layer of `taps C` inputs.

    Args:
        name: under which they are drawn.
        channels: C and D.
        window: of its inputs.
        init: draws them.
        initializer: key of `INITIALIZERS`.
        scale: multiplies them.
        bias: whether it has one.
    """
    axes = (init.axis(f"taps{window.taps}", window.taps), *channels)
    root = jnp.sqrt(fan_in_of(axes[:-1], init))
    return Convolution(*drawn(name, axes, init, initializer, scale / root, bias), window)


def places_of(spec: Spec, dimensions: int) -> tuple[tuple[int, ...], int]:
    """Return the places of an input and its channels: [*places] has one channel, of [*places, C] they come last.

    Raises:
        ConfigError: inputs are tokens, or have neither so many axes.
    """
    shape = spec.inputs.shape
    if spec.inputs.size is not None or len(shape) not in (dimensions, dimensions + 1):
        kind = "tokens" if spec.inputs.size is not None else f"of shape {list(shape)}"
        wanted = "[length] or [length, channels]" if dimensions == 1 else "[rows, columns] or [rows, columns, channels]"
        raise ConfigError(f"model.dimensions={dimensions}: needs real inputs {wanted}; those of data are {kind}")
    return (shape, 1) if len(shape) == dimensions else (shape[:-1], shape[-1])


def with_channels(x: jax.Array, dimensions: int) -> jax.Array:
    """Return inputs [B, *places] or [B, *places, C] with an axis of channels."""
    return x if x.ndim == dimensions + 2 else x[..., None]
