"""Linear regression on the first p inputs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from ddlab.data import Spec
from ddlab.errors import ConfigError
from ddlab.models.features import Columns, FeatureModel
from ddlab.models.init import Axis, Init


@dataclass(frozen=True)
class Linear(FeatureModel):
    """f(x) = <w, x_1..p>: the features are the first p of the real inputs (Belkin, Hsu, Xu 2020)."""

    LINEAR_IN_INPUTS = True

    def make_columns(self, spec: Spec, init: Init, width: Axis) -> Columns:
        del init  # nothing is drawn
        num_inputs = math.prod(spec.inputs.shape)
        if spec.inputs.size is not None:
            raise ConfigError("model: a linear model takes real inputs, not tokens")
        if width.size > num_inputs:
            raise ConfigError(
                f"model.width={width.size}: must be at most {num_inputs}, the numbers of one input (data.num_features)"
            )
        return _FirstInputs(width.size)


class _FirstInputs(Columns):
    def __init__(self, num_columns: int):
        self.num_columns = num_columns

    def __call__(self, x: jax.Array) -> jax.Array:
        return jnp.reshape(x, (x.shape[0], -1))[:, : self.num_columns]
