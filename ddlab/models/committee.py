"""The committee of Kumar et al. (2024), whose output scale sets how lazily it learns."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx

from ddlab.config import Mark, leaf
from ddlab.data import Spec
from ddlab.errors import ConfigError
from ddlab.models.base import Model
from ddlab.models.init import Constant, Init
from ddlab.models.inputs import num_features, project
from ddlab.models.products import matmul


@dataclass(frozen=True)
class Committee(Model):
    """f(x) = (alpha / width) sum_i phi(<w_i, x>) with phi(h) = h + eps h^2 / 2 and w_i ~ N(0, init_scale^2 I); readouts stay 1.

    `output_scale` is alpha of Kumar et al. (2024): the larger, the lazier. `curvature` is their eps, phi''.
    They divide the loss by alpha^2, here the learning rate is divided by it: width / (2 alpha^2) for their width / 2.

    Centred, its outputs at the start are taken off. Else they grow with alpha, and the weights have to move as far to undo them
    whatever alpha is. Centred and linearised around the initial weights it is the limit of large alpha.

    P = d width for d inputs.
    """

    width: int = leaf("hidden units", Mark.SIZE, low=1, high=10**6)
    output_scale: float = leaf("alpha, multiplies the output", Mark.TRACED, above=0)
    curvature: float = leaf("eps, the second derivative of the activation", Mark.TRACED)
    init_scale: float = leaf("standard deviation of the initial weights", Mark.TRACED, above=0)
    centred: bool = leaf("its outputs at the start are taken off: f - f_0")
    linearised: bool = leaf("linear in its weights, around the initial ones")

    def make(self, spec: Spec, init: Init) -> nnx.Module:
        if spec.num_outputs != 1:
            raise ConfigError(f"model: a committee has one output; the data wants {spec.num_outputs}")
        inputs, width = init.axis("inputs", num_features(spec)), init.axis("width", self.width)
        # Units beyond the active width have no readout: phi'(0) = 1 would bring them to life.
        readout = init.constant(self.output_scale / init.length(width) * init.live(width))
        weight = init.normal("weight", (inputs, width), self.init_scale)
        parts = weight, readout, init.constant(self.curvature), spec
        if self.centred or self.linearised:
            return _FromStart(*parts, self.centred, self.linearised)
        return _Network(*parts)


class _Network(nnx.Module):
    def __init__(self, weight: nnx.Param, readout: Constant, curvature: Constant, spec: Spec):
        self.weight, self.readout, self.curvature, self.spec = weight, readout, curvature, spec

    def __call__(self, x: jax.Array) -> jax.Array:
        return matmul(self.hidden(x), self.readout[...][:, None])

    def hidden(self, x: jax.Array) -> jax.Array:
        """Return the activations of the units for inputs, [B, width]."""
        return self.activation(project(x, self.weight[...], self.spec))

    def activation(self, h: jax.Array) -> jax.Array:
        return h + self.curvature[...] / 2 * jnp.square(h)


class _FromStart(_Network):
    """A committee that knows its initial weights."""

    def __init__(
        self, weight: nnx.Param, readout: Constant, curvature: Constant, spec: Spec, is_centred: bool, is_linearised: bool
    ):
        super().__init__(weight, readout, curvature, spec)
        self.start, self.is_centred, self.is_linearised = Constant(weight[...]), is_centred, is_linearised

    def hidden(self, x: jax.Array) -> jax.Array:
        h, start = (project(x, weight[...], self.spec) for weight in (self.weight, self.start))
        at_start = self.activation(start)
        slope = 1 + self.curvature[...] * start
        found = at_start + slope * (h - start) if self.is_linearised else self.activation(h)
        return found - at_start if self.is_centred else found
