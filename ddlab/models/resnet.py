"""The pre-activation residual network (He et al. 2016) in units of a width: ResNet18-k of Nakkiran et al. (2020)."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx

from ddlab.config import Mark, leaf
from ddlab.data import Spec
from ddlab.errors import ConfigError
from ddlab.models.base import Model, Training
from ddlab.models.convolutions import Convolution, Window, convolution, places_of, with_channels
from ddlab.models.init import Axis, Init
from ddlab.models.layers import INITIALIZERS, Linear, drawn, fan_in_of
from ddlab.models.norms import KINDS, BatchNorm, GroupNorm, norm_of, unit_of

# Of a stage.
MOST_BLOCKS = 100


@dataclass(frozen=True)
class ResNet(Model):
    """Inputs -> convolution -> stages of residual blocks -> mean over all places -> a linear layer -> K.

    Stage s has 2^(s-1) `width` channels, and from the second on its first block halves the places. A block is
    x + convolution(relu(norm(convolution(relu(norm(x)))))), of windows of 3 places; where channels or places change, x is
    taken behind its first relu and goes through a convolution of one place (He et al. 2016, "Identity mappings"). Nothing but the
    last layer has a bias. With blocks [2, 2, 2, 2] it is ResNet18-k of Nakkiran et al. (2020), width k; 64 is the usual one.
    """

    width: int = leaf("channels of the first stage, k", Mark.SIZE, low=1, high=10**4)
    num_params: int | None = leaf("wanted parameter count P; when set, the width is solved for", low=1, high=10**9, off=None)
    dimensions: int = leaf("1: signals [length] or [length, channels]; 2: images [rows, columns(, channels)]", low=1, high=2)
    blocks: list[int] = leaf("blocks of each stage")
    norm: str = leaf("normalisation of the channels", choices=KINDS)
    groups: int = leaf("groups of channels of norm=group", low=1, high=10**4)
    initializer: str = leaf("distribution of the initial weights", choices=tuple(INITIALIZERS))
    init_scale: float = leaf("multiplies every initial weight and bias", Mark.TRACED, above=0)

    def check(self) -> None:
        if not 1 <= len(self.blocks) <= 10 or not 1 <= min(self.blocks) <= max(self.blocks) <= MOST_BLOCKS:
            wanted = f"one to ten numbers from 1 to {MOST_BLOCKS}, the blocks of each stage"
            raise ConfigError(f"model.blocks={list(self.blocks)}: must be {wanted}")

    def make(self, spec: Spec, init: Init) -> nnx.Module:
        _, num_channels = places_of(spec, self.dimensions)
        channels = init.axis("width1", self.width)
        first = self._convolution("first", (init.axis("channels", num_channels), channels), 3, 1, init)
        blocks = []
        for stage, number in enumerate(self.blocks):
            for index in range(number):
                before, channels = channels, init.axis(f"width{2**stage}", 2**stage * self.width)
                stride = 2 if stage and not index else 1
                blocks.append(self._block(f"stages.{stage}.{index}", (before, channels), stride, init))
        axes = (channels, init.axis("outputs", spec.num_outputs))
        scale = self.init_scale / jnp.sqrt(fan_in_of(axes[:-1], init))
        readout = Linear(*drawn("readout", axes, init, self.initializer, scale, bias=True), init.constant(1.0))
        return _Network(first, blocks, readout, self.dimensions)

    def _block(self, name: str, channels: tuple[Axis, Axis], stride: int, init: Init) -> _Block:
        before, after = channels
        inner = init.axis(f"{name}.inner", after.active, unit_of(self.norm))
        changes = stride > 1 or before.name != after.name
        return _Block(
            norms=[norm_of(self.norm, self.groups, axis, init) for axis in (before, inner)],
            convolutions=[
                self._convolution(f"{name}.first", (before, inner), 3, stride, init),
                self._convolution(f"{name}.second", (inner, after), 3, 1, init),
            ],
            shortcut=self._convolution(f"{name}.shortcut", channels, 1, stride, init) if changes else None,
        )

    def _convolution(self, name: str, channels: tuple[Axis, Axis], size: int, stride: int, init: Init) -> Convolution:
        window = Window(self.dimensions, size, stride, padding=size // 2)
        return convolution(name, channels, window, init, self.initializer, self.init_scale, bias=False)


class _Block(nnx.Module):
    def __init__(self, norms: list[BatchNorm | GroupNorm | None], convolutions: list[Convolution], shortcut: Convolution | None):
        self.norms, self.convolutions, self.shortcut = nnx.List(norms), nnx.List(convolutions), shortcut

    def __call__(self, x: jax.Array, training: Training | None) -> jax.Array:
        units = self._activated(0, x, training)
        skipped = x if self.shortcut is None else self.shortcut(units)
        return skipped + self.convolutions[1](self._activated(1, self.convolutions[0](units), training))

    def _activated(self, index: int, x: jax.Array, training: Training | None) -> jax.Array:
        norm = self.norms[index]
        return jax.nn.relu(x if norm is None else norm(x, training))


class _Network(nnx.Module):
    def __init__(self, first: Convolution, blocks: list[_Block], readout: Linear, dimensions: int):
        self.first, self.blocks, self.readout, self.dimensions = first, nnx.List(blocks), readout, dimensions

    def __call__(self, x: jax.Array, training: Training | None = None) -> jax.Array:
        units = self.first(with_channels(x, self.dimensions))
        for block in self.blocks:
            units = block(units, training)
        return self.readout(jnp.mean(units, axis=tuple(range(1, units.ndim - 1))))
