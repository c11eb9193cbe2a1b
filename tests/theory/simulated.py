"""How formulas are held against simulations."""

from __future__ import annotations

import numpy as np

SIGNAL, NOISE = 1.0, 0.25


def assert_simulated(risks, expected, relative):
    """Assert that a mean over repeats is within 4 standard errors, and the given finite-size deviation, of the formula.

    The standard error must be small against the value, or the assertion could not fail.
    """
    error = np.std(risks, ddof=1) / np.sqrt(len(risks))
    assert error < 0.05 * expected
    assert abs(np.mean(risks) - expected) < 4 * error + relative * expected


def least_norm(x, y):
    """Return the least-squares solution [p] of least norm for x [n, p] of full rank."""
    n, p = x.shape
    return x.T @ np.linalg.solve(x @ x.T, y) if p > n else np.linalg.solve(x.T @ x, x.T @ y)
