"""Multilayer perceptron, and what networks with hidden layers of equal width share."""

from __future__ import annotations

import abc
import itertools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx

from ddlab.config import Mark, leaf
from ddlab.data import Spec
from ddlab.models.base import Model
from ddlab.models.init import Axis, Init
from ddlab.models.inputs import num_features, project
from ddlab.models.layers import ACTIVATIONS, INITIALIZERS, Linear, drawn, fan_in_of
from ddlab.models.norms import LayerNorm


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

    def layers(self, inputs: tuple[Axis, ...], spec: Spec, init: Init, unit: str = "neuron") -> list[Linear]:
        """Return the layers from inputs to outputs; the weight of the first is [*inputs, width].

        Args:
            inputs: axes of the inputs.
            spec: sizes of the data.
            init: of the trial.
            unit: what the entries of a hidden layer are, as `Axis.unit` says.
        """
        hidden = [(init.axis(f"width{index}", self.width, unit),) for index in range(self.depth)]
        axes = [inputs, *hidden, (init.axis("outputs", spec.num_outputs),)]
        return [
            self._layer(f"layer{index}", fan_in, fan_out, index == self.depth, init)
            for index, (fan_in, (fan_out, *_)) in enumerate(itertools.pairwise(axes))
        ]

    def _layer(self, name: str, fan_in: tuple[Axis, ...], fan_out: Axis, last: bool, init: Init) -> Linear:
        in_draw = self.parametrization == "standard"
        root = jnp.sqrt(fan_in_of(fan_in, init))
        scale = self.init_scale / root if in_draw else self.init_scale
        multiplier = 1.0 if in_draw else 1 / root**2 if last and self.parametrization == "mean_field" else 1 / root
        parts = drawn(name, (*fan_in, fan_out), init, self.initializer, scale, self.bias)
        return Linear(*parts, init.constant(multiplier))


class LayeredNetwork(nnx.Module):
    """Layers with an activation between them; a subclass says what the weight of the first is multiplied with."""

    def __init__(self, layers: list[Linear], activation: str, spec: Spec):
        self.layers = nnx.List(layers)
        self.activation, self.spec = ACTIVATIONS[activation], spec

    def __call__(self, x: jax.Array) -> jax.Array:
        first, *inner, last = self.layers
        units = self.units(0, first(x, self.product), None)
        for index, layer in enumerate(inner, 1):
            units = self.units(index, layer(units), units)
        return last(units)

    def units(self, index: int, z: jax.Array, before: jax.Array | None) -> jax.Array:
        """Return the units of a hidden layer, of its pre-activations z and of the units before it, if any: all [B, width]."""
        del index, before
        return self.activation(z)

    @abc.abstractmethod
    def product(self, x: jax.Array, weight: jax.Array) -> jax.Array:
        """Return the features of inputs x [B, *input_shape] times the weight of the first layer, [B, width]."""


@dataclass(frozen=True)
class MLP(LayeredModel):
    """inputs -> width -> ... -> width -> K, with `depth` hidden layers.

    With a layer norm the units of a layer are phi(norm(W x + b)); residual, those of all but the first are added to the units
    before them.

    P = (d + 1) h + (depth - 1)(h + 1) h + (h + 1) K with biases, for d inputs and width h; a layer norm has 2 h depth more.
    """

    num_params: int | None = leaf("wanted parameter count P; when set, the width is solved for", low=1, high=10**9, off=None)
    norm: str = leaf("normalisation of the pre-activations", choices=("none", "layer"), off="none")
    residual: bool = leaf("each hidden layer but the first adds to the one before it", off=False)

    def make(self, spec: Spec, init: Init) -> nnx.Module:
        # A norm over a layer counts what is 0, too; and of a residual stream every layer has a part.
        unit = "neuron" if self.norm == "none" and not self.residual else ""
        layers = self.layers((init.axis("inputs", num_features(spec)),), spec, init, unit)
        width = init.axis("width", self.width)
        norms = [] if self.norm == "none" else [LayerNorm((width,), init) for _ in range(self.depth)]
        return _Network(layers, norms, self, spec)


class _Network(LayeredNetwork):
    def __init__(self, layers: list[Linear], norms: list[LayerNorm], model: MLP, spec: Spec):
        super().__init__(layers, model.activation, spec)
        self.norms, self.is_residual = nnx.List(norms), model.residual

    def units(self, index: int, z: jax.Array, before: jax.Array | None) -> jax.Array:
        found = self.activation(self.norms[index](z) if self.norms else z)
        return before + found if self.is_residual and before is not None else found

    def product(self, x: jax.Array, weight: jax.Array) -> jax.Array:
        return project(x, weight, self.spec)
