"""Closed forms of the papers, NumPy only.

Notation: n training examples, p features, g = p / n, `signal` r2 = ||beta||^2, `noise_variance` s2. Estimators minimise
||y - X b||^2 / n + lam ||b||^2, so that b = (X'X + n lam I)^-1 X'y; lam -> 0 gives the solution of least norm. Risks are
expected squared errors on a fresh example; *excess* risk leaves the noise of that example out. All functions broadcast over
arrays and return float64.
"""

from ddlab.theory.linear_regression import (
    effective_ridge,
    misspecified_exact,
    optimal_ridge,
    ridge,
    ridge_covariance,
    ridgeless,
    ridgeless_exact,
)
from ddlab.theory.random_features import MOMENTS, random_features
from ddlab.theory.training_time import training_time

__all__ = [
    "MOMENTS",
    "effective_ridge",
    "misspecified_exact",
    "optimal_ridge",
    "random_features",
    "ridge",
    "ridge_covariance",
    "ridgeless",
    "ridgeless_exact",
    "training_time",
]
