"""The diagonal linear network: linear in its inputs, quadratic in its weights (Woodworth et al. 2020)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx

from ddlab.config import Mark, leaf
from ddlab.data import Spec
from ddlab.errors import ConfigError
from ddlab.models.base import Model
from ddlab.models.init import Init
from ddlab.models.products import matmul


@dataclass(frozen=True)
class Diagonal(Model):
    """f(x) = <u^2 - v^2, x> with u = v = init_scale / sqrt(2 d) at the start, for d inputs; one output (Lyu et al. 2023, L = 2).

    All weights together have the norm init_scale then, and f is 0. From large weights gradient descent leads to the
    interpolation of least L2 norm, from small ones, or with a penalty in the end, to one of small L1 norm. P = 2 d.
    """

    LINEAR_IN_INPUTS = True

    init_scale: float = leaf("norm of all initial weights", Mark.TRACED, above=0)

    def make(self, spec: Spec, init: Init) -> nnx.Module:
        if spec.inputs.size is not None or spec.num_outputs != 1:
            raise ConfigError("model: a diagonal network takes real inputs, not tokens, and has one output")
        d = math.prod(spec.inputs.shape)
        axes, start = (init.axis("inputs", d),), self.init_scale / (2 * d) ** 0.5
        return _Network(init.full(axes, start), init.full(axes, start))


class _Network(nnx.Module):
    def __init__(self, plus: nnx.Param, minus: nnx.Param):
        self.plus, self.minus = plus, minus

    def __call__(self, x: jax.Array) -> jax.Array:
        weight = jnp.square(self.plus[...]) - jnp.square(self.minus[...])
        return matmul(jnp.reshape(x, (len(x), -1)), weight[:, None])
