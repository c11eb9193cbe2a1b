"""Polynomial regression in one variable."""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from ddlab.data import Spec
from ddlab.errors import ConfigError
from ddlab.models.features import Columns, FeatureModel
from ddlab.models.init import Axis, Constant, Init


@dataclass(frozen=True)
class Legendre(FeatureModel):
    """features_j(x) = sqrt(2 j + 1) P_j(x), j = 0..p-1, P_j the Legendre polynomials: orthonormal for x uniform in [-1, 1]."""

    def make_columns(self, spec: Spec, init: Init, width: Axis) -> Columns:
        if spec.inputs.size is not None or math.prod(spec.inputs.shape) != 1:
            raise ConfigError("model: polynomial features take one real number as input; data: interval has it")
        return _Legendre(init.constant(jnp.arange(width.size)))


class _Legendre(Columns):
    def __init__(self, degrees: Constant):
        self.degrees = degrees

    def __call__(self, x: jax.Array) -> jax.Array:
        degrees = self.degrees[...]
        x = jnp.reshape(x, -1).astype(degrees.dtype)

        def step(carry: tuple[jax.Array, jax.Array], degree: jax.Array) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
            before, now = carry
            after = ((2 * degree + 1) * x * now - degree * before) / (degree + 1)
            return (now, after), now

        _, values = jax.lax.scan(step, (jnp.zeros_like(x), jnp.ones_like(x)), degrees)
        return values.T * jnp.sqrt(2 * degrees + 1)
