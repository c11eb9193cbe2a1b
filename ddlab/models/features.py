"""Models that are linear in their parameters: fixed features and a trained readout, f(x) = features(x) W.

They can be trained as any network, and solved in closed form (`ddlab.exact`).
"""

from __future__ import annotations

import abc
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx

from ddlab.config import Mark, leaf
from ddlab.data import Spec
from ddlab.models.base import Axis, Init, Model
from ddlab.models.products import matmul


class Features(nnx.Module):
    """Fixed features: a module that maps inputs [B, *input_shape] to features [B, p]; zero beyond the active width."""

    @abc.abstractmethod
    def __call__(self, x: jax.Array) -> jax.Array: ...


class FeatureNetwork(nnx.Module):
    """features(x) W; the readout W [p, K] is its one parameter."""

    def __init__(self, features: Features, readout: nnx.Param):
        self.features, self.readout = features, readout

    def __call__(self, x: jax.Array) -> jax.Array:
        return matmul(self.features(x), self.readout[...])


@dataclass(frozen=True)
class FeatureModel(Model):
    """Base of models that are linear in their parameters; a subclass gives `make_features`. P = p K."""

    width: int = leaf("number of features p", Mark.WIDTH, low=1, high=10**6)
    init_scale: float = leaf("norm of the initial readout, whose entries are N(0, init_scale^2 / p)", Mark.TRACED, low=0)

    PADDED = {"width": "width"}

    def make(self, spec: Spec, init: Init) -> FeatureNetwork:
        width, outputs = init.axis("width", self.width), init.axis("outputs", spec.num_outputs)
        readout = init.normal("readout", (width, outputs), self.init_scale / jnp.sqrt(init.length(width)))
        return FeatureNetwork(self.make_features(spec, init, width), readout)

    @abc.abstractmethod
    def make_features(self, spec: Spec, init: Init, width: Axis) -> Features:
        """Return the features; feature j must not depend on the width, but for a factor, so that widths are nested."""
