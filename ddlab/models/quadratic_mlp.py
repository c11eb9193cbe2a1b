"""The two-layer network with quadratic activation of Gromov (2023), which solves modular arithmetic analytically."""

from __future__ import annotations

from dataclasses import dataclass

import jax
from flax import nnx

from ddlab.config import Mark, leaf
from ddlab.data import Spec
from ddlab.models.base import Model
from ddlab.models.init import Init
from ddlab.models.inputs import num_features, project
from ddlab.models.products import matmul


@dataclass(frozen=True)
class QuadraticMLP(Model):
    """f(a, b) = W2 (W1 [a; b])^2 on one-hot a and b, without biases (Gromov 2023, eq. 2).

    Both matrices start at N(0, s^2) with s = init_scale / (2 width)^(1/3). P = width (d + K) for d one-hot inputs.
    """

    width: int = leaf("hidden units", Mark.SIZE, low=1, high=10**6)
    num_params: int | None = leaf("wanted parameter count P; when set, the width is solved for", low=1, high=10**9, off=None)
    init_scale: float = leaf("multiplies every initial weight", Mark.TRACED, above=0)

    def make(self, spec: Spec, init: Init) -> nnx.Module:
        inputs, outputs = init.axis("inputs", num_features(spec)), init.axis("outputs", spec.num_outputs)
        width = init.axis("width", self.width)
        std = self.init_scale / (2 * init.length(width)) ** (1 / 3)
        return _Network(init.normal("first", (inputs, width), std), init.normal("second", (width, outputs), std), spec)


class _Network(nnx.Module):
    def __init__(self, first: nnx.Param, second: nnx.Param, spec: Spec):
        self.first, self.second, self.spec = first, second, spec

    def __call__(self, x: jax.Array) -> jax.Array:
        return matmul(project(x, self.first[...], self.spec) ** 2, self.second[...])
