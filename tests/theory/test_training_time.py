"""Training time: the formula against a simulation, published values and its own limits."""

from __future__ import annotations

import numpy as np
import pytest

from ddlab import theory
from tests.theory.simulated import NOISE, SIGNAL, assert_simulated

pytestmark = pytest.mark.numeric


@pytest.mark.parametrize(("t", "risk"), [(5, 0.684), (200, 2.49)])
def test_training_time_has_the_published_values(t, risk):
    assert theory.training_time(t, 1.0, 1.0, 0.25, 0.01) == pytest.approx(risk, rel=2e-3)


@pytest.mark.parametrize("alpha", [0.5, 2.0])
@pytest.mark.parametrize("t", [0.5, 5.0, 100.0])
def test_training_time_is_that_of_a_simulation(alpha, t):
    random = np.random.default_rng(1)
    num_inputs, num_examples = 100, round(100 * alpha)
    risks = []
    for _ in range(100):
        x = random.normal(size=(num_examples, num_inputs)) / np.sqrt(num_inputs)
        teacher, student = random.normal(size=num_inputs), 0.1 * random.normal(size=num_inputs)
        y = x @ teacher + 0.5 * random.normal(size=num_examples)
        spectrum, basis = np.linalg.eigh(x.T @ x)
        least = basis @ (np.where(spectrum > 1e-10, 1 / np.maximum(spectrum, 1e-10), 0) * (basis.T @ (x.T @ y)))
        decay = np.where(spectrum > 1e-10, np.exp(-spectrum * t), 1.0)
        found = least + basis @ (decay * (basis.T @ (student - least)))
        risks.append(np.sum((found - teacher) ** 2) / num_inputs + 0.25)
    assert_simulated(risks, float(theory.training_time(t, alpha, 1.0, 0.25, 0.01)), relative=0.02)


def test_a_student_trained_for_ever_is_the_least_squares_one():
    above = theory.training_time(1e9, 3.0, 1.0, 0.25) - 0.25
    assert above == pytest.approx(theory.ridgeless(1 / 3, 1.0, 0.25), rel=1e-3)


def test_formulas_broadcast():
    assert theory.training_time(np.ones((3, 1)), np.full(4, 0.5), SIGNAL, NOISE).shape == (3, 4)
