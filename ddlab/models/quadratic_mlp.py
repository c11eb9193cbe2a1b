"""The two-layer network with quadratic activation of Gromov (2023), which solves modular arithmetic analytically."""

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
from ddlab.models.init import Axis, Init
from ddlab.models.inputs import num_features, project
from ddlab.models.products import matmul


@dataclass(frozen=True)
class QuadraticMLP(Model):
    """f(a, b) = W2 (W1 [a; b])^2 on one-hot a and b, without biases (Gromov 2023, eq. 2).

    Both matrices start at N(0, s^2) with s = init_scale / (2 width)^(1/3). P = width (d + K) for d one-hot inputs.

    Or they start as the analytic solution of a + b mod p (Gromov 2023, section 3): neuron i has the frequency w = 2 pi k / p,
    k = 1 + i mod (p - 1) / 2, the weights s cos(w a + u) and s cos(w b + v), and s cos(w c + u + v) to the output c, with phases
    u and v uniform in (-pi, pi) and s = init_scale (2 / width)^(1/3): at init_scale 1, f is 1 at c = a + b on the average.
    """

    width: int = leaf("hidden units", Mark.SIZE, low=1, high=10**6)
    num_params: int | None = leaf("wanted parameter count P; when set, the width is solved for", low=1, high=10**9, off=None)
    initializer: str = leaf("initial weights: random, or the analytic solution", choices=("random", "analytic"), off="random")
    init_scale: float = leaf("multiplies every initial weight", Mark.TRACED, above=0)

    def make(self, spec: Spec, init: Init) -> nnx.Module:
        inputs, outputs = init.axis("inputs", num_features(spec)), init.axis("outputs", spec.num_outputs)
        width = init.axis("width", self.width, "neuron")
        if self.initializer == "analytic":
            return _Network(*self._solution(inputs, width, outputs, spec, init), spec)
        std = self.init_scale / (2 * init.length(width)) ** (1 / 3)
        return _Network(init.normal("first", (inputs, width), std), init.normal("second", (width, outputs), std), spec)

    def _solution(self, inputs: Axis, width: Axis, outputs: Axis, spec: Spec, init: Init) -> tuple[nnx.Param, nnx.Param]:
        p = outputs.size
        if p < 3 or spec.inputs.shape != (2,) or spec.inputs.size != p:
            raise ConfigError("model.initializer=analytic: solves a + b mod p; needs inputs a, b and answers of p tokens, p > 2")
        frequencies = 1 + jnp.arange(width.size, dtype=jnp.int32) % ((p - 1) // 2)
        # k a mod p, an integer, so that the angle of a large one is as exact as that of a small one.
        turns = jnp.arange(p, dtype=jnp.int32)[:, None] * frequencies % p
        u, v = (math.pi * init.draw_symmetric(name, (width,)) for name in ("phase_a", "phase_b"))
        angles = 2 * math.pi / p * turns.astype(u.dtype)
        scale = self.init_scale * (2 / init.length(width)) ** (1 / 3)
        first = jnp.concatenate([jnp.cos(angles + u), jnp.cos(angles + v)])
        second = jnp.cos(angles + u + v).T
        return init.full((inputs, width), scale * first), init.full((width, outputs), scale * second)


class _Network(nnx.Module):
    def __init__(self, first: nnx.Param, second: nnx.Param, spec: Spec):
        self.first, self.second, self.spec = first, second, spec

    def __call__(self, x: jax.Array) -> jax.Array:
        return matmul(project(x, self.first[...], self.spec) ** 2, self.second[...])
