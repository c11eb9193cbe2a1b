"""Models that are linear in their parameters: fixed features and a trained readout, f(x) = features(x) W.

They can be trained as any network, and solved in closed form (`ddlab.solving`).
"""

from __future__ import annotations

import abc
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx

from ddlab.config import Mark, leaf
from ddlab.data import Spec
from ddlab.models.base import Model
from ddlab.models.init import Axis, Constant, Init
from ddlab.models.products import matmul


class Columns(nnx.Module):
    """A module that maps inputs [B, *input_shape] to features [B, p] before scaling, the same whatever the active width."""

    @abc.abstractmethod
    def __call__(self, x: jax.Array) -> jax.Array: ...


class FeatureNetwork(nnx.Module):
    """features(x) W, with features(x) = columns(x) * scale; the readout W [p, K] is its one parameter.

    The scale [p] is the factor of the active width, and 0 beyond it.
    """

    def __init__(self, columns: Columns, scale: Constant, readout: nnx.Param):
        self.columns, self.scale, self.readout = columns, scale, readout

    def __call__(self, x: jax.Array) -> jax.Array:
        return matmul(self.features(x), self.readout[...])

    def features(self, x: jax.Array) -> jax.Array:
        """Return the features [B, p] of inputs, zero beyond the active width."""
        return self.columns(x) * self.scale[...]


@dataclass(frozen=True)
class FeatureModel(Model):
    """Base of models that are linear in their parameters; a subclass gives `make_columns`. P = p K.

    Features are nested: those of a narrow trial are the first of a wide one, but for a factor.
    """

    width: int = leaf("number of features p", Mark.SIZE, low=1, high=10**6)
    init_scale: float = leaf("norm of the initial readout, whose entries are N(0, init_scale^2 / p)", Mark.TRACED, low=0)

    def make(self, spec: Spec, init: Init) -> FeatureNetwork:
        width, outputs = init.axis("width", self.width), init.axis("outputs", spec.num_outputs)
        readout = init.normal("readout", (width, outputs), self.init_scale / jnp.sqrt(init.length(width)))
        scale = init.constant(init.live(width) * self.factor(init.length(width)))
        return FeatureNetwork(self.make_columns(spec, init, width._replace(active=width.size)), scale, readout)

    @abc.abstractmethod
    def make_columns(self, spec: Spec, init: Init, width: Axis) -> Columns:
        """Return the features before scaling, `width.size` of them; column j must depend on no width."""

    def factor(self, width: jax.Array) -> jax.Array:
        """Return the factor [] of all features at an active width []."""
        return jnp.ones_like(width)
