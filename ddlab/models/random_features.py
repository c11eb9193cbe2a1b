"""Random features: a network of one hidden layer whose first layer stays as it was drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from ddlab.config import Mark, leaf
from ddlab.data import Spec
from ddlab.models.features import Columns, FeatureModel
from ddlab.models.init import Axis, Constant, Init
from ddlab.models.inputs import num_features, project

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": jax.nn.relu,
    "erf": jax.scipy.special.erf,
    "fourier": lambda z: 2**0.5 * jnp.cos(z),
}


@dataclass(frozen=True)
class RandomFeatures(FeatureModel):
    """features_j(x) = activation(<w_j, x> / (bandwidth sqrt(d)) + b_j) / sqrt(p), for d inputs (Rahimi, Recht 2007).

    relu and erf have no b. fourier: sqrt(2) cos with b uniform in 0..2 pi; with Gaussian weights the inner product of features
    tends to exp(-||x - x'||^2 / (2 bandwidth^2 d)) as p grows.
    """

    activation: str = leaf("non-linearity", choices=tuple(ACTIVATIONS))
    weights: str = leaf("distribution of w: N(0, I), or uniform on the sphere of radius sqrt(d)", choices=("gaussian", "sphere"))
    bandwidth: float = leaf("length scale of the features, in units of sqrt(d)", Mark.TRACED, above=0)

    def make_columns(self, spec: Spec, init: Init, width: Axis) -> Columns:
        inputs = init.axis("inputs", num_features(spec))
        weight = init.draw_normal("features.weight", (inputs, width))
        if self.weights == "sphere":
            weight *= jnp.sqrt(init.length(inputs) / jnp.sum(jnp.square(weight), axis=0))
        weight /= self.bandwidth * jnp.sqrt(init.length(inputs))
        phase = jnp.pi * init.draw_symmetric("features.phase", (width,)) if self.activation == "fourier" else 0.0
        return _RandomFeatures(init.constant(weight), init.constant(phase), ACTIVATIONS[self.activation], spec)

    def factor(self, width: jax.Array) -> jax.Array:
        return 1 / jnp.sqrt(width)


class _RandomFeatures(Columns):
    def __init__(self, weight: Constant, phase: Constant, activation: Callable[[jax.Array], jax.Array], spec: Spec):
        self.weight, self.phase, self.activation, self.spec = weight, phase, activation, spec

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.activation(project(x, self.weight[...], self.spec) + self.phase[...])
