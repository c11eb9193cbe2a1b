"""Closed forms of the papers, NumPy and SciPy only.

Notation: n training examples, p features, g = p / n, `signal` r2 = ||beta||^2, `noise_variance` s2. Estimators minimise
||y - X b||^2 / n + lam ||b||^2, so that b = (X'X + n lam I)^-1 X'y; lam -> 0 gives the solution of least norm. Risks are
expected squared errors on a fresh example; *excess* risk leaves the noise of that example out. All functions broadcast over
arrays and return float64.
"""

from ddlab.theory.grokking import (
    chance_accuracy,
    kernel_regime_time,
    levi_delay,
    levi_delay_limit,
    levi_test_loss,
    levi_test_time,
    levi_train_loss,
    levi_train_time,
    memorisable_labels,
    mirrored_share,
    norm_decay_steps,
    ridge_grokking_test_loss,
    ridge_grokking_test_time,
    ridge_grokking_train_loss,
)
from ddlab.theory.kernel_flow import Predictions, kernel_flow
from ddlab.theory.linear_regression import (
    effective_ridge,
    misspecified_exact,
    optimal_ridge,
    ridge,
    ridge_covariance,
    ridgeless,
    ridgeless_exact,
)
from ddlab.theory.numeric import in_blocks, marchenko_pastur
from ddlab.theory.random_features import MOMENTS, random_features
from ddlab.theory.training_time import training_time

__all__ = [
    "MOMENTS",
    "Predictions",
    "chance_accuracy",
    "effective_ridge",
    "in_blocks",
    "kernel_flow",
    "kernel_regime_time",
    "levi_delay",
    "levi_delay_limit",
    "levi_test_loss",
    "levi_test_time",
    "levi_train_loss",
    "levi_train_time",
    "marchenko_pastur",
    "memorisable_labels",
    "mirrored_share",
    "misspecified_exact",
    "norm_decay_steps",
    "optimal_ridge",
    "random_features",
    "ridge",
    "ridge_covariance",
    "ridge_grokking_test_loss",
    "ridge_grokking_test_time",
    "ridge_grokking_train_loss",
    "ridgeless",
    "ridgeless_exact",
    "training_time",
]
