"""Regression on the sphere, the setting of random-feature theory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ddlab.config import Mark, leaf
from ddlab.data.regression import Regression, Target


@dataclass(frozen=True)
class Sphere(Regression):
    """y = f(x) + e with x uniform on the sphere of radius sqrt(d) (Mei, Montanari 2022).

    linear: f(x) = <beta, x> with beta of a random direction; quadratic: f(x) = x'Gx with G a random symmetric matrix of trace
    zero. Both have mean zero and variance `signal`.
    """

    num_features: int = leaf("dimension d", low=2, high=10**5)
    function: str = leaf("target function", choices=("linear", "quadratic"))
    signal: float = leaf("variance of the target function", Mark.HOST, low=0, targets=True)

    @property
    def num_inputs(self) -> int:
        return self.num_features

    def inputs(self, num: int, random: np.random.Generator) -> np.ndarray:
        draws = random.standard_normal((num, self.num_features))
        return draws * (self.num_features**0.5 / np.linalg.norm(draws, axis=1, keepdims=True))

    def target(self, random: np.random.Generator) -> Target:
        d = self.num_features
        if self.function == "linear":
            beta = random.standard_normal(d)
            beta *= self.signal**0.5 / np.linalg.norm(beta)
            return lambda inputs: inputs @ beta
        matrix = random.standard_normal((d, d))
        matrix = (matrix + matrix.T) / 2
        matrix -= np.trace(matrix) / d * np.eye(d)
        # Var x'Gx = 2 d / (d + 2) ||G||^2 for x uniform on the sphere of radius sqrt(d).
        matrix *= (self.signal * (d + 2) / (2 * d)) ** 0.5 / np.linalg.norm(matrix)
        return lambda inputs: np.einsum("ni,ij,nj->n", inputs, matrix, inputs, optimize=True)
