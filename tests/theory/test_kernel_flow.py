"""Gradient flow under a fixed kernel against its differential equation, step by step."""

from __future__ import annotations

import numpy as np
import pytest

from ddlab import theory

pytestmark = pytest.mark.numeric

TIMES = [0.0, 0.3, 2.0]


def make_problem(num_features, num_outputs=()):
    """Return features of 8 training and 5 test examples, their targets, and weights at the start."""
    random = np.random.default_rng(6)
    train, test = random.standard_normal((8, num_features)), random.standard_normal((5, num_features))
    return train, test, random.standard_normal((8, *num_outputs)), random.standard_normal((num_features, *num_outputs))


def solve(train, test, targets, start, times):
    return theory.kernel_flow(times, train @ train.T, test @ train.T, targets, train @ start, test @ start)


@pytest.mark.parametrize("num_outputs", [(), (3,)])
@pytest.mark.parametrize("num_features", [4, 20])
def test_outputs_are_those_of_gradient_descent_in_the_weights(num_features, num_outputs):
    train, test, targets, start = make_problem(num_features, num_outputs)
    found = solve(train, test, targets, start, TIMES)
    weights, rate, done = start, 1e-5, 0
    for k, time in enumerate(TIMES):
        for _ in range(round(time / rate) - done):
            weights = weights - rate * 2 * train.T @ (train @ weights - targets) / targets.size
        done = round(time / rate)
        # Euler's method is wrong by its step, times the largest rate of a mode squared.
        np.testing.assert_allclose(found.train[k], train @ weights, atol=2e-4)
        np.testing.assert_allclose(found.test[k], test @ weights, atol=2e-4)


def test_in_the_end_it_is_kernel_regression():
    train, test, targets, _ = make_problem(20)
    found = solve(train, test, targets, np.zeros(20), [1e4])
    np.testing.assert_allclose(found.train[0], targets, rtol=1e-9)
    np.testing.assert_allclose(found.test[0], test @ np.linalg.pinv(train) @ targets, rtol=1e-9)
