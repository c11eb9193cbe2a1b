"""Losses: their formulas, at one position and at many."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax

from ddlab.losses import MSE, CrossEntropy, Hinge, error

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("float64")]

B, L, K = 4, 3, 5
OUTPUTS = np.random.default_rng(0).normal(size=(B, L, K))
CLASSES = np.random.default_rng(1).integers(K, size=(B, L)).astype(np.int32)
REALS = np.random.default_rng(2).normal(size=(B, L, K))
ONE_HOT = np.eye(K)[CLASSES]


def largest_of_the_wrong(outputs, y):
    return max(output for j, output in enumerate(outputs) if j != y)


HINGE = [
    [max(0.0, 1 + largest_of_the_wrong(outputs, y) - outputs[y]) for outputs, y in zip(*example, strict=True)]
    for example in zip(OUTPUTS, CLASSES, strict=True)
]

# Loss, targets, and its value at each position of each example.
CASES = {
    "cross_entropy": (CrossEntropy(), CLASSES, -np.sum(ONE_HOT * log_softmax(OUTPUTS, axis=-1), axis=-1)),
    "mse": (MSE(), CLASSES, np.mean((OUTPUTS - ONE_HOT) ** 2, axis=-1)),
    "mse of real targets": (MSE(), REALS, np.mean((OUTPUTS - REALS) ** 2, axis=-1)),
    "hinge": (Hinge(), CLASSES, np.array(HINGE)),
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


@pytest.mark.parametrize("case", ["cross_entropy", "mse", "mse of real targets", "hinge"])
def test_the_untrained_loss_is_that_of_zero_outputs(case):
    loss, targets, _ = CASES[case]
    expected = loss(jnp.zeros((B, K)), jnp.asarray(targets[:, 0])).mean()
    num_classes = None if targets.dtype.kind == "f" else K
    assert loss.untrained(targets[:, 0], num_classes) == pytest.approx(float(expected), rel=1e-12)


def test_of_two_classes_the_hinge_loss_is_that_of_the_difference_of_the_outputs():
    outputs, classes = OUTPUTS[:, 0, :2], CLASSES[:, 0] % 2
    assert set(classes) == {0, 1}
    expected = np.maximum(0, 1 - (2 * classes - 1) * (outputs[:, 1] - outputs[:, 0]))
    np.testing.assert_allclose(Hinge()(jnp.asarray(outputs), jnp.asarray(classes)), expected, rtol=1e-12)


def test_an_example_that_is_right_by_a_margin_has_no_hinge_loss_and_no_gradient():
    outputs = jnp.array([[3.0, 1.9, -5.0], [3.0, 2.1, -5.0]])
    value, gradient = jax.value_and_grad(lambda outputs: Hinge()(outputs, jnp.array([0, 0])).sum())(outputs)
    np.testing.assert_allclose(value, 0.1, rtol=1e-12)
    np.testing.assert_array_equal(gradient, [[0, 0, 0], [-1, 1, 0]])
