"""Closed-form optimizers, mode by mode, against the iterations that they stand for."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from ddlab.optimizers import GradientDescent, GradientFlow, Ridge

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("float64")]


MU = np.array([0.0, 1e-3, 0.4, 1.7])


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@pytest.mark.parametrize("num_outputs", [1, 4])
def test_gradient_descent_is_its_iteration_on_each_mode(weight_decay, num_outputs):
    """w <- w - lr (curvature (w - target) + weight_decay w), from 1 towards a target of 5; 1 - lr rate is negative for one."""
    rate, start, target = 0.9, 1.0, 5.0
    w = np.full(len(MU), start)
    for _ in range(7):
        w -= rate * (2 / num_outputs * MU * (w - target) + weight_decay * w)
    rule = GradientDescent(weight_decay=weight_decay, cutoff=0.0, learning_rate=rate)
    learned, kept = rule.learned_and_kept(jnp.asarray(MU), num_outputs, jnp.int32(7))
    np.testing.assert_allclose(learned * target + kept * start, w, rtol=1e-12)
    assert 1 - rate * (2 / num_outputs * MU[-1] + weight_decay) < 0 or num_outputs == 4


def test_gradient_flow_is_gradient_descent_of_small_steps():
    flow = GradientFlow(weight_decay=0.1, cutoff=0.0, learning_rate=0.5)
    descent = GradientDescent(weight_decay=0.1, cutoff=0.0, learning_rate=0.5e-5)
    expected = descent.learned_and_kept(jnp.asarray(MU), 1, jnp.int32(6 * 10**5))
    for ours, wanted in zip(flow.learned_and_kept(jnp.asarray(MU), 1, jnp.int32(6)), expected, strict=True):
        np.testing.assert_allclose(ours, wanted, rtol=1e-4)  # time x learning rate x rate^2 / 2, at most 9.2e-5


def test_ridge_is_the_limit_of_gradient_flow():
    """The penalty of ridge is that of a squared error summed over outputs: K / 2 times that of the training loss."""
    ridge = Ridge(weight_decay=0.15, cutoff=0.0)
    flow = GradientFlow(weight_decay=0.1, cutoff=0.0, learning_rate=1e9)
    for ours, wanted in zip(*(rule.learned_and_kept(jnp.asarray(MU), 3, jnp.int32(1)) for rule in (ridge, flow)), strict=True):
        np.testing.assert_allclose(ours, wanted, rtol=1e-12)


def test_without_penalty_the_unseen_directions_keep_the_start():
    for rule in (Ridge(), GradientFlow(learning_rate=1e9)):
        learned, kept = rule.learned_and_kept(jnp.asarray(MU), 1, jnp.int32(1))
        np.testing.assert_array_equal(kept, [1, 0, 0, 0])
        np.testing.assert_array_equal(learned, [0, 1, 1, 1])


RULES = ((Ridge, {}), (GradientFlow, {"learning_rate": 1.0}), (GradientDescent, {"learning_rate": 1.0}))


@pytest.mark.parametrize("rule", [cls(weight_decay=0.2, **rate) for cls, rate in RULES])
def test_step_zero_is_the_start(rule):
    learned, kept = rule.learned_and_kept(jnp.asarray(MU), 1, jnp.int32(0))
    np.testing.assert_array_equal(kept, 1)
    np.testing.assert_array_equal(learned, 0)
