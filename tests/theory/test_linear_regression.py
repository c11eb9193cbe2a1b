"""Linear regression: every formula against a simulation, published values and its own limits."""

from __future__ import annotations

import numpy as np
import pytest

from ddlab import theory
from tests.theory.simulated import NOISE, SIGNAL, assert_simulated, least_norm

pytestmark = pytest.mark.numeric


def linear_risks(repeats, n, p, lam=0.0, eigenvalues=None, coefficients=None, seed=0):
    """Return simulated excess risks of ridge regression (least norm for lam = 0) with Gaussian features."""
    random = np.random.default_rng(seed)
    spectrum = np.ones(p) if eigenvalues is None else eigenvalues
    risks = []
    for _ in range(repeats):
        if coefficients is None:
            beta = random.normal(size=p)
            beta *= np.sqrt(SIGNAL) / np.linalg.norm(beta)
        else:
            beta = coefficients
        x = random.normal(size=(n, p)) * np.sqrt(spectrum)
        y = x @ beta + np.sqrt(NOISE) * random.normal(size=n)
        dual = np.linalg.solve(x @ x.T + n * lam * np.eye(n), y) if lam else None
        found = least_norm(x, y) if dual is None else x.T @ dual
        risks.append(np.sum(spectrum * (found - beta) ** 2))
    return np.array(risks)


@pytest.mark.parametrize(("g", "risk"), [(0.5, 0.2525), (2, 0.7513), (5, 0.8626)])
def test_ridgeless_has_the_published_values(g, risk):
    assert theory.ridgeless_exact(g * 200, 200, SIGNAL, NOISE) == pytest.approx(risk, abs=5e-5)


@pytest.mark.parametrize("p", [10, 60])
def test_ridgeless_is_exact_for_finite_samples(p):
    assert_simulated(linear_risks(2000, 30, p), theory.ridgeless_exact(p, 30, SIGNAL, NOISE), relative=0.0)


@pytest.mark.parametrize("g", [0.3, 0.9, 1.1, 4.0])
def test_ridgeless_is_the_limit_of_many_examples_and_of_no_penalty(g):
    limit = theory.ridgeless(g, SIGNAL, NOISE)
    assert theory.ridgeless_exact(g * 1e7, 1e7, SIGNAL, NOISE) == pytest.approx(limit, rel=1e-5)
    for lam in (0, 1e-16, 1e-12, 1e-7):
        assert theory.ridge(g, lam, SIGNAL, NOISE) == pytest.approx(limit, rel=1e-12 + 1e4 * lam)


@pytest.mark.parametrize("g", [0.3, 1.0, 4.0])
def test_with_a_large_penalty_nothing_is_learned(g):
    assert theory.ridge(g, 1e17, SIGNAL, NOISE) == pytest.approx(SIGNAL, rel=1e-12)


def test_without_penalty_the_risk_is_infinite_at_the_threshold_alone():
    for risk in (theory.ridgeless([0.99, 1, 1.01], SIGNAL, NOISE), theory.ridge([0.99, 1, 1.01], 0, SIGNAL, NOISE)):
        np.testing.assert_array_equal(np.isinf(risk), [False, True, False])
    exact = theory.ridgeless_exact([8, 9, 10, 11, 12], 10, SIGNAL, NOISE)
    np.testing.assert_array_equal(np.isinf(exact), [False, True, True, True, False])


@pytest.mark.parametrize(("g", "risk"), [(0.5, 0.1754), (1, 0.3904), (2, 0.6404)])
def test_the_optimal_penalty_gives_the_published_risk_and_no_other_gives_less(g, risk):
    best = theory.optimal_ridge(g, SIGNAL, NOISE)
    assert theory.ridge(g, best, SIGNAL, NOISE) == pytest.approx(risk, abs=5e-5)
    others = theory.ridge(g, best * np.array([0.5, 0.9, 1.1, 2.0]), SIGNAL, NOISE)
    assert (others > theory.ridge(g, best, SIGNAL, NOISE)).all()


@pytest.mark.parametrize(("g", "lam"), [(0.5, 0.3), (1.0, 0.02), (2.0, 0.1)])
def test_ridge_is_that_of_a_simulation(g, lam):
    assert_simulated(linear_risks(60, 200, round(200 * g), lam), theory.ridge(g, lam, SIGNAL, NOISE), relative=0.02)


@pytest.mark.parametrize(("p", "risk"), [(20, 1.724), (60, 1.566), (100, 0.667)])
def test_misspecified_has_the_published_values(p, risk):
    assert theory.misspecified_exact(p, 40, 100, 1, 0.04) == pytest.approx(risk, abs=5e-4)


@pytest.mark.parametrize("p", [5, 20, 60, 100])
def test_misspecified_is_exact_for_finite_samples(p):
    random = np.random.default_rng(p)
    risks = []
    for _ in range(1500):
        beta = random.normal(size=100)
        beta /= np.linalg.norm(beta)
        x = random.normal(size=(40, 100))
        y = x @ beta + 0.2 * random.normal(size=40)
        found = np.zeros(100)
        found[:p] = least_norm(x[:, :p], y)
        risks.append(np.sum((found - beta) ** 2) + 0.04)
    assert_simulated(risks, theory.misspecified_exact(p, 40, 100, 1, 0.04), relative=0.0)


SPECTRUM = 1.0 / np.arange(1, 151) ** 0.8
COEFFICIENTS = np.sin(np.arange(1, 151)) / np.sqrt(75)


@pytest.mark.parametrize(("p", "lam"), [(50, 0.0), (150, 0.0), (150, 0.01), (50, 0.1)])
def test_general_covariance_is_that_of_a_simulation(p, lam):
    spectrum, b = SPECTRUM[:p], COEFFICIENTS[:p]
    simulated = linear_risks(150, 100, p, lam, eigenvalues=spectrum, coefficients=b)
    assert_simulated(simulated, theory.ridge_covariance(spectrum, b, 100, lam, NOISE), relative=0.03)


@pytest.mark.parametrize("lam", [0.0, 0.05, 1.0])
@pytest.mark.parametrize("g", [0.5, 2.0])
def test_equal_eigenvalues_give_the_isotropic_formulas(g, lam):
    p = round(1000 * g)
    ours = theory.ridge_covariance(np.ones(p), np.full(p, p**-0.5), 1000, lam, NOISE)
    assert ours == pytest.approx(theory.ridge(g, lam, SIGNAL, NOISE), rel=1e-6)


def test_formulas_broadcast():
    assert theory.ridge(np.ones((3, 1)), np.full(4, 0.1), SIGNAL, NOISE).shape == (3, 4)
