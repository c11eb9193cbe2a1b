"""Normalisation over the live channels of a trial, with a gain and a shift for each of them, which padded channels have not.

Shapes: x [B, ..., C] with C channels, any number of places between.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from ddlab.models.base import Training
from ddlab.models.init import Axis, Init

EPSILON = 1e-5

# The share of a batch in the moving averages of a batch norm (that of PyTorch).
MOMENTUM = 0.1

KINDS = ("none", "batch", "group")


class LayerNorm(nnx.Module):
    """Over the channels at each place (Ba et al. 2016), or by their root mean square alone (Zhang, Sennrich 2019)."""

    def __init__(self, axes: tuple[Axis, ...], init: Init, kind: str = "layer"):
        """
        Args:
            axes: of the gain, the channels last; those before them, such as layers, each have their own.
            init: of the trial.
            kind: "layer", or "rms".
        """
        channels = axes[-1]
        self.live, self.length = init.constant(init.live(channels)), init.constant(init.length(channels))
        self.gain = init.full(axes, 1.0)
        self.shift = init.zeros(axes) if kind == "layer" else None

    def __call__(self, x: jax.Array, layer: int | None = None) -> jax.Array:
        if self.shift is not None:
            # Padded entries are zero, and must not be drawn from it by the mean: no gradient goes to them either.
            mean = jnp.sum(x * self.live[...], axis=-1, keepdims=True) / self.length[...]
            x = (x - mean) * self.live[...]
        variance = jnp.sum(jnp.square(x), axis=-1, keepdims=True) / self.length[...]
        x = x * jax.lax.rsqrt(variance + EPSILON) * _of_layer(self.gain, layer)
        return x if self.shift is None else x + _of_layer(self.shift, layer)


def _of_layer(parameter: nnx.Param, layer: int | None) -> jax.Array:
    return parameter[...] if layer is None else parameter[...][layer]


class BatchNorm(nnx.Module):
    """Over the examples of a batch and all places, for each channel (Ioffe, Szegedy 2015).

    Evaluated, by moving averages over batches of the mean and of the unbiased variance, with momentum 0.1, as PyTorch's.
    """

    def __init__(self, channels: Axis, init: Init):
        self.gain, self.shift = init.full((channels,), 1.0), init.zeros((channels,))
        self.mean, self.variance = init.statistic((channels,)), init.statistic((channels,), 1.0)

    def __call__(self, x: jax.Array, training: Training | None) -> jax.Array:
        if training is None:
            mean, variance = self.mean[...].astype(x.dtype), self.variance[...].astype(x.dtype)
            centred = x - mean
        else:
            axes = tuple(range(x.ndim - 1))
            live = training.live.astype(x.dtype).reshape(-1, *[1] * (x.ndim - 1))
            num = jnp.sum(live) * jnp.asarray(x[..., 0].size // len(x), x.dtype)
            mean = jnp.sum(x * live, axis=axes) / num
            centred = x - mean
            variance = jnp.sum(jnp.square(centred) * live, axis=axes) / num
            self._move(mean, variance * num / jnp.maximum(num - 1, 1))
        return centred * (jax.lax.rsqrt(variance + EPSILON) * self.gain[...]) + self.shift[...]

    def _move(self, mean: jax.Array, variance: jax.Array) -> None:
        for average, now in ((self.mean, mean), (self.variance, variance)):
            kept = average[...]
            average[...] = (1 - MOMENTUM) * kept + MOMENTUM * now.astype(kept.dtype)


class GroupNorm(nnx.Module):
    """Over the channels of a group and all places, for each example (Wu, He 2018).

    Group g has the channels c with floor(c groups / C) = g: equally many where the number of groups divides C.
    """

    def __init__(self, groups: int, channels: Axis, init: Init):
        places = jnp.arange(channels.size, dtype=jnp.int32) * groups // channels.active
        is_member, live = places == jnp.arange(groups, dtype=jnp.int32)[:, None], init.live(channels)
        self.members, self.live = init.constant(jnp.where(is_member, live, 0)), init.constant(live)
        self.gain, self.shift = init.full((channels,), 1.0), init.zeros((channels,))

    def __call__(self, x: jax.Array, training: Training | None) -> jax.Array:
        del training
        centred = (x - self._mean(x)) * self.live[...]
        variance = self._mean(jnp.square(centred))
        return centred * jax.lax.rsqrt(variance + EPSILON) * self.gain[...] + self.shift[...]

    def _mean(self, x: jax.Array) -> jax.Array:
        """Return for each channel the mean over its group, [B, 1, ..., C]."""
        members, places = self.members[...], tuple(range(1, x.ndim - 1))
        shares = members / jnp.maximum(jnp.sum(members, axis=1, keepdims=True), 1)
        found = jnp.mean(x, axis=places, keepdims=True)
        return found @ shares.T @ members


def norm_of(kind: str, groups: int, channels: Axis, init: Init) -> BatchNorm | GroupNorm | None:
    """Return the normalisation of a kind of `KINDS`; None: there is none."""
    if kind == "none":
        return None
    return BatchNorm(channels, init) if kind == "batch" else GroupNorm(groups, channels, init)


def unit_of(kind: str) -> str:
    """Return what channels behind a normalisation are, as `Axis.unit` says: over a group it counts those that are 0, too."""
    return "" if kind == "group" else "channel"
