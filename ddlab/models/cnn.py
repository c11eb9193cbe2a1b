"""A plain convolutional network: that of MNIST-1D (Greydanus, Kobak 2024), and the 5-layer CNN of Nakkiran et al. (2020)."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx

from ddlab.config import Mark, leaf
from ddlab.data import Spec
from ddlab.errors import ConfigError
from ddlab.models.base import Model, Training
from ddlab.models.convolutions import Convolution, Window, convolution, max_pool, places_of, with_channels
from ddlab.models.init import Init
from ddlab.models.layers import ACTIVATIONS, INITIALIZERS, Linear, drawn, fan_in_of
from ddlab.models.norms import KINDS, BatchNorm, GroupNorm, norm_of, unit_of
from ddlab.models.products import matmul

# In a list of a CNN.
MOST = 1_000


@dataclass(frozen=True)
class CNN(Model):
    """Inputs -> convolution, normalisation, activation, max-pooling, for each layer -> a linear layer of all that is left -> K.

    The lists have an entry for each convolution: its window, its stride, its channels in units of `width`, and the size of the
    pooling behind it.

    P = sum over layers of (w^n C + 1) D + (D + 1) K L for windows of w places along each of n dimensions, C and D channels before
    and after, and L places that are left; batch and group norms have 2 D more. Of Nakkiran et al.'s on [32, 32, 3] it is
    378 k^2 + 152 k + 10 at width k.
    """

    width: int = leaf("channels of a layer whose `channels` is 1, k", Mark.SIZE, low=1, high=10**4)
    num_params: int | None = leaf("wanted parameter count P; when set, the width is solved for", low=1, high=10**9, off=None)
    dimensions: int = leaf("1: signals [length] or [length, channels]; 2: images [rows, columns(, channels)]", low=1, high=2)
    windows: list[int] = leaf("places of the window of each convolution, along each dimension")
    strides: list[int] = leaf("stride of each convolution")
    channels: list[int] = leaf("channels of each convolution, in units of `width`")
    pools: list[int] = leaf("size of the max-pooling behind each convolution; 1: none")
    padding: int = leaf("zeros before the first and behind the last place of the inputs of a convolution", low=0, high=100)
    activation: str = leaf("non-linearity", choices=tuple(ACTIVATIONS))
    norm: str = leaf("normalisation of the channels", choices=KINDS)
    groups: int = leaf("groups of channels of norm=group", low=1, high=10**4)
    initializer: str = leaf("distribution of the initial weights", choices=tuple(INITIALIZERS))
    init_scale: float = leaf("multiplies every initial weight and bias", Mark.TRACED, above=0)
    bias: bool = leaf("convolutions have biases")

    def check(self) -> None:
        lists = {"windows": self.windows, "strides": self.strides, "channels": self.channels, "pools": self.pools}
        for name, numbers in lists.items():
            if not numbers or len(numbers) != len(self.channels) or not 1 <= min(numbers) <= max(numbers) <= MOST:
                layers = f"each of {len(self.channels)} layers, as many as model.channels has"
                raise ConfigError(f"model.{name}={list(numbers)}: must be a number from 1 to {MOST:,} for {layers}")

    def make(self, spec: Spec, init: Init) -> nnx.Module:
        places, num_channels = places_of(spec, self.dimensions)
        channels = [
            init.axis("channels", num_channels),
            *(init.axis(f"width{index}", times * self.width, unit_of(self.norm)) for index, times in enumerate(self.channels)),
        ]
        layers = []
        for index, (size, stride, pool, (inputs, outputs)) in enumerate(
            zip(self.windows, self.strides, self.pools, itertools.pairwise(channels), strict=True)
        ):
            window = Window(self.dimensions, size, stride, self.padding)
            outputs_left = [window.num_outputs(number) for number in places]
            places = tuple(number // pool for number in outputs_left)
            if min(places) < 1:
                key, numbers = ("pools", self.pools) if min(outputs_left) >= 1 else ("windows", self.windows)
                left = f"leaves nothing of inputs {list(spec.inputs.shape)} behind convolution {index + 1}"
                raise ConfigError(f"model.{key}={list(numbers)}: {left}")
            name = f"convolutions.{index}"
            convolved = convolution(name, (inputs, outputs), window, init, self.initializer, self.init_scale, self.bias)
            layers.append(_Layer(convolved, norm_of(self.norm, self.groups, outputs, init), self.activation, pool))
        axes = (init.axis("places", math.prod(places)), channels[-1], init.axis("outputs", spec.num_outputs))
        scale = self.init_scale / jnp.sqrt(fan_in_of(axes[:-1], init))
        readout = Linear(*drawn("readout", axes, init, self.initializer, scale, bias=True), init.constant(1.0))
        return _Network(layers, readout, self.dimensions)


class _Layer(nnx.Module):
    def __init__(self, convolution: Convolution, norm: BatchNorm | GroupNorm | None, activation: str, pool: int):
        self.convolution, self.norm, self.activation, self.pool = convolution, norm, ACTIVATIONS[activation], pool

    def __call__(self, x: jax.Array, training: Training | None) -> jax.Array:
        z = self.convolution(x)
        return max_pool(self.activation(z if self.norm is None else self.norm(z, training)), self.pool)


class _Network(nnx.Module):
    def __init__(self, layers: list[_Layer], readout: Linear, dimensions: int):
        self.layers, self.readout, self.dimensions = nnx.List(layers), readout, dimensions

    def __call__(self, x: jax.Array, training: Training | None = None) -> jax.Array:
        units = with_channels(x, self.dimensions)
        for layer in self.layers:
            units = layer(units, training)
        return self.readout(units, _all_places)


def _all_places(x: jax.Array, weight: jax.Array) -> jax.Array:
    """Return x [B, *places, C] times a weight [L, C, K] of all L places, [B, K]."""
    return matmul(x.reshape(len(x), -1), weight.reshape(-1, weight.shape[-1]))
