"""Losses: their formulas, at one position and at many."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax

from ddlab.losses import MSE, CrossEntropy, error

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("float64")]

B, L, K = 4, 3, 5
OUTPUTS = np.random.default_rng(0).normal(size=(B, L, K))
CLASSES = np.random.default_rng(1).integers(K, size=(B, L)).astype(np.int32)
REALS = np.random.default_rng(2).normal(size=(B, L, K))
ONE_HOT = np.eye(K)[CLASSES]

# Loss, targets, and its value at each position of each example.
CASES = {
    "cross_entropy": (CrossEntropy(), CLASSES, -np.sum(ONE_HOT * log_softmax(OUTPUTS, axis=-1), axis=-1)),
    "mse": (MSE(), CLASSES, np.mean((OUTPUTS - ONE_HOT) ** 2, axis=-1)),
    "mse of real targets": (MSE(), REALS, np.mean((OUTPUTS - REALS) ** 2, axis=-1)),
    "error": (error, CLASSES, (OUTPUTS.argmax(axis=-1) != CLASSES).astype(float)),
}


@pytest.mark.parametrize("case", CASES)
def test_a_loss_is_its_formula(case):
    loss, targets, expected = CASES[case]
    found = loss(jnp.asarray(OUTPUTS[:, 0]), jnp.asarray(targets[:, 0]))
    np.testing.assert_allclose(found, expected[:, 0], rtol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_a_loss_of_many_positions_is_their_mean(case):
    loss, targets, expected = CASES[case]
    np.testing.assert_allclose(loss(jnp.asarray(OUTPUTS), jnp.asarray(targets)), expected.mean(axis=1), rtol=1e-12)


@pytest.mark.parametrize("case", ["cross_entropy", "mse", "mse of real targets"])
def test_the_untrained_loss_is_that_of_zero_outputs(case):
    loss, targets, _ = CASES[case]
    expected = loss(jnp.zeros((B, K)), jnp.asarray(targets[:, 0])).mean()
    num_classes = None if targets.dtype.kind == "f" else K
    assert loss.untrained(targets[:, 0], num_classes) == pytest.approx(float(expected), rel=1e-12)
