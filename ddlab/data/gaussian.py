"""Linear regression on Gaussian inputs, well-specified or not."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ddlab.config import Mark, leaf
from ddlab.data.base import Spec
from ddlab.data.regression import Regression, Target
from ddlab.errors import ConfigError


@dataclass(frozen=True)
class Gaussian(Regression):
    """y = <beta, x> + e with x ~ N(0, S), S diagonal, and beta of a random or a given direction with ||beta||^2 = signal.

    A model of width p sees the first p of the D features: with beta on all of them the problem is misspecified (Belkin, Hsu,
    Xu 2020), with `num_relevant` = p well-specified. Without `num_test` the test set is the D nodes sqrt(D) S^(1/2) e_i, at which
    the mean square of a linear function is its expectation over x: the risk, given the training set, is exact.
    """

    num_features: int = leaf("features D", low=1, high=10**6)
    eigenvalues: list[float] | None = leaf("of the covariance S; a shorter list is repeated; null: all 1", off=None)
    num_relevant: int | None = leaf(
        "beta is zero beyond so many features; null: none is", Mark.HOST, low=1, off=None, targets=True
    )
    coefficients: list[float] | None = leaf(
        "beta up to its norm; a shorter list is repeated; null: a random direction", off=None, targets=True
    )
    signal: float = leaf("||beta||^2", Mark.HOST, low=0, targets=True)
    test_cutoff: float = leaf(
        "test inputs lose their components along right singular vectors of the training inputs whose singular value is below"
        " this fraction of the largest (Schaeffer et al. 2023)",
        Mark.HOST,
        low=0,
        high=1,
        off=0.0,
    )

    @property
    def num_inputs(self) -> int:
        return self.num_features

    def check(self) -> None:
        if self.eigenvalues is not None and not (self.eigenvalues and all(0 <= value < np.inf for value in self.eigenvalues)):
            raise ConfigError(f"data.eigenvalues={list(self.eigenvalues)}: must be finite numbers of at least 0")
        if self.coefficients is not None:
            relevant = self._coefficients[: self.num_relevant]
            if not (np.isfinite(relevant).all() and relevant.any()):
                raise ConfigError(f"data.coefficients={list(self.coefficients)}: must be finite numbers, not all 0")

    def describe(self) -> Spec:
        num_test = self.num_features if self.num_test is None else self.num_test
        return replace(self.spec_with(num_test), test_nodes=self.num_test is None)

    def test_inputs(self, train_inputs: np.ndarray) -> np.ndarray:
        nodes = np.diag(self.num_features**0.5 * self._scales) if self.num_test is None else super().test_inputs(train_inputs)
        return _strong_part(nodes, train_inputs, self.test_cutoff) if self.test_cutoff > 0 else nodes

    def inputs(self, num: int, random: np.random.Generator) -> np.ndarray:
        return random.standard_normal((num, self.num_features)) * self._scales

    def target(self, random: np.random.Generator) -> Target:
        beta = random.standard_normal(self.num_features) if self.coefficients is None else self._coefficients
        if self.num_relevant is not None:
            beta[self.num_relevant :] = 0
        beta *= self.signal**0.5 / np.linalg.norm(beta)
        return lambda inputs: inputs @ beta

    @property
    def _coefficients(self) -> np.ndarray:
        """The given direction of beta, [D]."""
        return np.resize(np.array(self.coefficients or (), float), self.num_features)

    @property
    def _scales(self) -> np.ndarray:
        """Standard deviations of the features, [D]."""
        return np.sqrt(np.resize(self.eigenvalues or (1.0,), self.num_features))


def _strong_part(inputs: np.ndarray, train_inputs: np.ndarray, cutoff: float) -> np.ndarray:
    """Return inputs [num, D] without their components along the weak right singular vectors of the training inputs."""
    _, values, directions = np.linalg.svd(train_inputs, full_matrices=False)
    weak = directions[values < cutoff * values[0]]
    return inputs - inputs @ weak.T @ weak
