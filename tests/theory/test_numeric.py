"""Numerical helpers of the closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad

from ddlab import theory

pytestmark = pytest.mark.numeric

FUNCTIONS = {
    "1": np.ones_like,
    "v": lambda v: v,
    "v^2": np.square,
    "exp(-8 v)": lambda v: np.exp(-8 * v),
    "1/(v+1)": lambda v: 1 / (v + 1),
}


def density(v, ratio):
    low, high = (1 - np.sqrt(ratio)) ** 2, (1 + np.sqrt(ratio)) ** 2
    return np.sqrt((high - v) * (v - low)) / (2 * np.pi * ratio * v)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("ratio", [0.1, 0.8, 3.0])
def test_integrals_over_the_eigenvalues_are_those_of_adaptive_quadrature(ratio, name):
    function = FUNCTIONS[name]
    nodes, weights = theory.marchenko_pastur(ratio)
    low, high = (1 - np.sqrt(ratio)) ** 2, (1 + np.sqrt(ratio)) ** 2
    expected, error = quad(lambda v: function(v) * density(v, ratio), low, high, epsabs=1e-10, epsrel=1e-9)
    assert error < 1e-8
    assert (weights * function(nodes)).sum() == pytest.approx(expected, rel=1e-7)


def test_the_weights_are_the_share_of_eigenvalues_that_are_not_zero():
    _, weights = theory.marchenko_pastur([[0.3, 1.0], [2.0, 5.0]])
    assert weights.shape[:2] == (2, 2)
    np.testing.assert_allclose(weights.sum(-1), [[1, 1], [1 / 2, 1 / 5]], rtol=1e-9)


def test_eigenvalues_are_those_of_a_random_matrix():
    x = np.random.default_rng(0).standard_normal((2000, 600))
    nodes, weights = theory.marchenko_pastur(0.3)
    found = np.linalg.eigvalsh(x.T @ x / 2000)
    assert found.min() == pytest.approx(nodes.min(), rel=0.05)
    assert found.max() == pytest.approx(nodes.max(), rel=0.02)
    assert np.mean(np.log(found)) == pytest.approx((weights * np.log(nodes)).sum(), abs=5e-3)
