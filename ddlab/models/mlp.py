"""Multilayer perceptron, and what networks with hidden layers of equal width share."""

from __future__ import annotations

import abc
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ddlab.config import Mark, leaf
from ddlab.data import Spec
from ddlab.models.base import Model
from ddlab.models.init import Axis, Init
from ddlab.models.inputs import num_features, project
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


@dataclass(frozen=True)
class LayeredModel(Model):
    """Base of models with `depth` hidden layers of `width` units.

    Every layer computes m (W x + b). In the standard parametrisation m = 1 and W has variance gain / fan_in; in the NTK
    parametrisation (Jacot et al. 2018) W has variance gain and m = 1 / sqrt(fan_in): the same function at the start,
    another learning rate per layer; mean-field (Mei et al. 2018) is NTK with m = 1 / fan_in in the last layer.
    """

    width: int = leaf("units in each hidden layer", Mark.SIZE, low=1, high=10**6)
    depth: int = leaf("number of hidden layers", low=1)
    activation: str = leaf("non-linearity", choices=tuple(ACTIVATIONS))
    parametrization: str = leaf("where the fan-in scaling goes", choices=("standard", "ntk", "mean_field"))
    initializer: str = leaf("distribution of the initial weights", choices=tuple(INITIALIZERS))
    init_scale: float = leaf("multiplies every initial weight and bias", Mark.TRACED, above=0)
    bias: bool = leaf("layers have biases")

    def layers(self, inputs: tuple[Axis, ...], spec: Spec, init: Init) -> list[Linear]:
        """Return the layers from inputs to outputs; the weight of the first is [*inputs, width]."""
        width, outputs = init.axis("width", self.width), init.axis("outputs", spec.num_outputs)
        axes = [inputs, *[(width,)] * self.depth, (outputs,)]
        return [
            self._layer(f"layer{index}", fan_in, fan_out, index == self.depth, init)
            for index, (fan_in, (fan_out, *_)) in enumerate(itertools.pairwise(axes))
        ]

    def _layer(self, name: str, fan_in: tuple[Axis, ...], fan_out: Axis, last: bool, init: Init) -> Linear:
        variance, bias_std = INITIALIZERS[self.initializer]
        in_draw = self.parametrization == "standard"
        root = jnp.sqrt(math.prod(init.length(axis) for axis in fan_in))
        scale = self.init_scale / root if in_draw else self.init_scale
        multiplier = 1.0 if in_draw else 1 / root**2 if last and self.parametrization == "mean_field" else 1 / root
        draw = init.uniform if self.initializer == "torch" else init.normal
        weight = draw(f"{name}.weight", (*fan_in, fan_out), variance**0.5 * scale)
        bias = draw(f"{name}.bias", (fan_out,), bias_std * scale) if self.bias else None
        return Linear(weight, bias, init.constant(multiplier))


class Linear(nnx.Module):
    """m (W x + b), [B, fan_out]."""

    def __init__(self, weight: nnx.Param, bias: nnx.Param | None, multiplier: Any):
        self.weight, self.bias, self.multiplier = weight, bias, multiplier

    def __call__(self, x: jax.Array, product: Callable[[jax.Array, jax.Array], jax.Array] = matmul) -> jax.Array:
        z = product(x, self.weight[...])
        return self.multiplier[...] * (z if self.bias is None else z + self.bias[...])


class LayeredNetwork(nnx.Module):
    """Layers with an activation between them; a subclass says what the weight of the first is multiplied with."""

    def __init__(self, layers: list[Linear], activation: str, spec: Spec):
        self.layers = nnx.List(layers)
        self.activation, self.spec = ACTIVATIONS[activation], spec

    def __call__(self, x: jax.Array) -> jax.Array:
        z = self.layers[0](x, self.product)
        for layer in self.layers[1:]:
            z = layer(self.activation(z))
        return z

    @abc.abstractmethod
    def product(self, x: jax.Array, weight: jax.Array) -> jax.Array:
        """Return the features of inputs x [B, *input_shape] times the weight of the first layer, [B, width]."""


@dataclass(frozen=True)
class MLP(LayeredModel):
    """inputs -> width -> ... -> width -> K, with `depth` hidden layers.

    P = (d + 1) h + (depth - 1)(h + 1) h + (h + 1) K with biases, for d inputs and width h.
    """

    num_params: int | None = leaf("wanted parameter count P; when set, the width is solved for", low=1, high=10**9, off=None)

    def make(self, spec: Spec, init: Init) -> nnx.Module:
        layers = self.layers((init.axis("inputs", num_features(spec)),), spec, init)
        return _Network(layers, self.activation, spec)


class _Network(LayeredNetwork):
    def product(self, x: jax.Array, weight: jax.Array) -> jax.Array:
        return project(x, weight, self.spec)
