"""Random features: the formula against a simulation, published values and its own limits."""

from __future__ import annotations

import numpy as np
import pytest

from ddlab import theory
from tests.theory.simulated import NOISE, SIGNAL, assert_simulated, least_norm

pytestmark = pytest.mark.numeric


@pytest.mark.parametrize(("psi1", "risk"), [(1.5, 0.870), (2.5, 2.318), (6, 0.503), (12, 0.240)])
def test_random_features_have_the_published_values(psi1, risk):
    assert theory.random_features(psi1, 3, 0.0, SIGNAL, NOISE) == pytest.approx(risk, abs=6e-4)


def test_random_features_without_penalty_are_the_limit_of_a_small_one():
    psi1 = np.array([0.5, 2.0, 4.0, 10.0])
    ridgeless = theory.random_features(psi1, 3, 0.0, SIGNAL, NOISE)
    np.testing.assert_allclose(theory.random_features(psi1, 3, 1e-9, SIGNAL, NOISE), ridgeless, rtol=1e-4)
    assert np.isinf(theory.random_features(3, 3, 0.0, SIGNAL, NOISE))
    assert theory.random_features(3, 3, 0.1, SIGNAL, NOISE) < 1


def sphere(random, num, d):
    x = random.normal(size=(num, d))
    return np.sqrt(d) * x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("psi1", "lam", "activation"), [(1.5, 0.0, "relu"), (6, 0.0, "relu"), (3, 0.05, "relu"), (6, 0.01, "erf")]
)
def test_random_features_are_those_of_a_simulation(psi1, lam, activation):
    from scipy.special import erf

    function = {"relu": lambda z: np.maximum(z, 0), "erf": erf}[activation]
    d, n, features = 60, 180, round(60 * psi1)
    random = np.random.default_rng(0)
    risks = []
    for _ in range(60):
        weights, beta = sphere(random, features, d), random.normal(size=d)
        beta /= np.linalg.norm(beta)
        x, fresh = sphere(random, n, d), sphere(random, 500, d)
        z, z_fresh = (function(inputs @ weights.T / np.sqrt(d)) for inputs in (x, fresh))
        y = x @ beta + np.sqrt(NOISE) * random.normal(size=n)
        penalty = n * features / d * lam * np.eye(features)
        found = np.linalg.solve(z.T @ z + penalty, z.T @ y) if lam else least_norm(z, y)
        risks.append(np.mean((z_fresh @ found - fresh @ beta) ** 2))
    assert_simulated(risks, float(theory.random_features(psi1, 3, lam, SIGNAL, NOISE, activation)), relative=0.05)


@pytest.mark.parametrize(("activation", "function"), [("relu", lambda z: np.maximum(z, 0)), ("erf", None)])
def test_moments_of_the_activations(activation, function):
    from scipy.special import erf

    z = np.linspace(-12, 12, 200_001)
    weight = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * (z[1] - z[0])
    values = (function or erf)(z)
    variance = (weight * values**2).sum() - (weight * values).sum() ** 2
    np.testing.assert_allclose(theory.MOMENTS[activation], (variance, (weight * z * values).sum() ** 2), rtol=1e-6)


def test_formulas_broadcast():
    assert theory.random_features(np.ones((3, 1)), 2, np.full(4, 0.1), SIGNAL, NOISE).shape == (3, 4)
