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
    assert (weights * function(nodes))[:-1].sum() == pytest.approx(expected, rel=1e-7)


def test_the_weights_are_shares_of_the_eigenvalues_and_the_last_that_of_zero():
    nodes, weights = theory.marchenko_pastur([[0.3, 1.0], [2.0, 5.0]])
    assert weights.shape == nodes.shape
    np.testing.assert_allclose(weights.sum(-1), np.ones((2, 2)), rtol=1e-9)
    np.testing.assert_array_equal(nodes[..., -1], np.zeros((2, 2)))
    np.testing.assert_allclose(weights[..., -1], [[0, 0], [1 / 2, 4 / 5]])


def test_eigenvalues_are_those_of_a_random_matrix():
    x = np.random.default_rng(0).standard_normal((2000, 600))
    nodes, weights = theory.marchenko_pastur(0.3)
    found = np.linalg.eigvalsh(x.T @ x / 2000)
    assert found.min() == pytest.approx(nodes[0], rel=0.05)
    assert found.max() == pytest.approx(nodes.max(), rel=0.02)
    assert np.mean(np.log(found)) == pytest.approx((weights[:-1] * np.log(nodes[:-1])).sum(), abs=5e-3)


def test_blocks_change_nothing():
    values = np.arange(700.0)[:, None], np.array([1.0, 2.0])
    np.testing.assert_array_equal(theory.in_blocks(np.multiply, *values), values[0] * values[1])
    assert theory.in_blocks(np.multiply, np.zeros((0, 1)), 1.0).shape == (0, 1)
    assert theory.in_blocks(np.multiply, 3.0, 2.0) == 6
