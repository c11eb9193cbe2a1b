"""Layers of every network: activations, how weights begin, and m (W x + b)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ddlab.models.init import Axis, Init
from ddlab.models.products import matmul

# Every activation maps 0 to 0, so that zero-padded units stay dead.
ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "gelu": jax.nn.gelu,  # the tanh approximation (Hendrycks, Gimpel 2016)
    "quadratic": jnp.square,
    "linear": lambda z: z,
}

# Weight variance times fan-in, and the standard deviation of biases times sqrt(fan-in).
INITIALIZERS = {"torch": (1 / 3, (1 / 3) ** 0.5), "he": (2.0, 0.0), "lecun": (1.0, 0.0)}


def fan_in_of(axes: tuple[Axis, ...], init: Init) -> Any:
    """Return the active entries of axes that a layer sums over."""
    return math.prod(init.length(axis) for axis in axes)


def drawn(
    name: str, axes: tuple[Axis, ...], init: Init, initializer: str, scale: Any, bias: bool
) -> tuple[nnx.Param, nnx.Param | None]:
    """Return the weight of a layer, and its bias if it has one.

    Args:
        name: of the layer, under which its numbers are drawn.
        axes: of the weight; the last is the layer's output, the others are summed over.
        init: draws them.
        initializer: key of `INITIALIZERS`.
        scale: of every entry: 1 / sqrt(fan_in) where nothing else makes the outputs of order one.
        bias: whether it has one.
    """
    variance, bias_std = INITIALIZERS[initializer]
    draw = init.uniform if initializer == "torch" else init.normal
    weight = draw(f"{name}.weight", axes, variance**0.5 * scale)
    return weight, draw(f"{name}.bias", axes[-1:], bias_std * scale) if bias else None


class Linear(nnx.Module):
    """m (W x + b), [B, fan_out]."""

    def __init__(self, weight: nnx.Param, bias: nnx.Param | None, multiplier: Any):
        self.weight, self.bias, self.multiplier = weight, bias, multiplier

    def __call__(self, x: jax.Array, product: Callable[[jax.Array, jax.Array], jax.Array] = matmul) -> jax.Array:
        z = product(x, self.weight[...])
        return self.multiplier[...] * (z if self.bias is None else z + self.bias[...])
