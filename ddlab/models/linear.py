"""Linear regression on the first p inputs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from ddlab.data import Spec
from ddlab.errors import ConfigError
from ddlab.models.base import Axis, Constant, Init
from ddlab.models.features import FeatureModel, Features


@dataclass(frozen=True)
class Linear(FeatureModel):
    """f(x) = <w, x_1..p>: the features are the first p of the real inputs (Belkin, Hsu, Xu 2020)."""

    LINEAR_IN_INPUTS = True

    def make_features(self, spec: Spec, init: Init, width: Axis) -> Features:
        num_inputs = math.prod(spec.input_shape)
        if spec.alphabet is not None:
            raise ConfigError("model: a linear model takes real inputs, not tokens")
        if width.size > num_inputs:
            raise ConfigError(f"model.width={width.size}: must be at most {num_inputs}, the numbers of one input")
        return _FirstInputs(init.constant(init.live(width)))


class _FirstInputs(Features):
    def __init__(self, live: Constant):
        self.live = live

    def __call__(self, x: jax.Array) -> jax.Array:
        live = self.live[...]
        return jnp.reshape(x, (x.shape[0], -1))[:, : len(live)] * live
