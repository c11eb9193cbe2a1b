"""Delayed generalisation: every formula against a simulation, published values and its own limits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from ddlab import theory
from tests.theory.simulated import assert_simulated

pytestmark = pytest.mark.numeric

RATIOS = np.array([0.1, 0.3, 0.5, 0.8, 0.9, 0.95])
LEVEL, RATE = 2.5e-4, 0.01  # eps / 4 for eps = 1e-3, and the learning rate of the steps below


def test_delays_of_the_reference():
    """Computed apart from this module, from the same integral and the printed formula, in steps of rate 0.01."""
    integral, printed = [23.3, 120, 431, 4873, 20481, 72591], [40.7, 194, 716, 10086, 56386, 286692]
    np.testing.assert_allclose(theory.levi_delay(LEVEL, RATIOS) / RATE, integral, rtol=3e-3)
    np.testing.assert_allclose(theory.levi_delay_limit(RATIOS) / RATE, printed, rtol=3e-3)


@pytest.mark.parametrize(("eps", "share"), [(1e-2, 0.446), (1e-3, 0.603), (1e-4, 0.701), (1e-6, 0.806), (1e-12, 0.910)])
def test_the_printed_delay_is_approached_slowly(eps, share):
    assert theory.levi_delay(eps / 4, 0.5) / theory.levi_delay_limit(0.5) == pytest.approx(share, abs=6e-4)


@pytest.mark.parametrize("ratio", [0.25, 0.5, 2.0])
@pytest.mark.parametrize("t", [0.3, 1.0])
def test_losses_are_those_of_gradient_descent(ratio, t):
    random = np.random.default_rng(2)
    num_features, steps = 100, 1000
    num_examples = round(num_features / ratio)
    train, test = [], []
    for _ in range(100):
        x = random.standard_normal((num_examples, num_features))
        teacher, student = random.standard_normal((2, num_features)) / np.sqrt(2 * num_features)
        covariance, target = x.T @ x / num_examples, x.T @ (x @ teacher) / num_examples
        for _ in range(steps):
            student = student - t / steps * 2 * (covariance @ student - target)
        train.append(np.mean((x @ (student - teacher)) ** 2))
        test.append(np.sum((student - teacher) ** 2))
    assert_simulated(train, float(theory.levi_train_loss(t, ratio)), relative=0.03)
    assert_simulated(test, float(theory.levi_test_loss(t, ratio)), relative=0.03)


def test_at_the_start_the_losses_are_the_distance():
    for loss in (theory.levi_train_loss, theory.levi_test_loss):
        np.testing.assert_allclose(loss(0.0, [0.1, 1.0, 3.0], 2.5), 2.5, rtol=1e-9)


@pytest.mark.parametrize("ratio", [0.3, 0.9, 1.5])
def test_times_are_those_at_which_the_losses_are_at_the_level(ratio):
    level = 0.6 if ratio > 1 else LEVEL
    assert theory.levi_test_loss(theory.levi_test_time(level, ratio, 1.7), ratio, 1.7) == pytest.approx(level, rel=1e-9)
    assert theory.levi_train_loss(theory.levi_train_time(LEVEL, ratio, 1.7), ratio, 1.7) == pytest.approx(LEVEL, rel=1e-9)


def test_with_fewer_examples_than_features_the_test_loss_never_gets_below_its_plateau():
    assert theory.levi_test_loss(1e6, 2.0) == pytest.approx(0.5, rel=1e-9)
    np.testing.assert_array_equal(theory.levi_test_time([0.499, 0.5, 0.501, 1.0], 2.0) < np.inf, [False, False, True, True])
    assert theory.levi_train_time(LEVEL, 2.0) < 10
    assert np.isinf(theory.levi_delay_limit([1.0, 2.0])).all()
    assert theory.levi_test_time(1.0, 2.0) == 0


def test_late_losses_differ_by_the_least_eigenvalue():
    """Levi et al. (2023): the test loss is the training loss over (1 - sqrt(ratio))^2."""
    t = 1500.0
    share = theory.levi_test_loss(t, 0.5) / theory.levi_train_loss(t, 0.5)
    assert share == pytest.approx((1 - np.sqrt(0.5)) ** -2, rel=5e-3)


def test_without_noise_it_is_the_training_time_of_advani():
    t, alpha = np.array([0.1, 1.0, 30.0])[:, None], np.array([0.5, 1.25, 3.0])
    advani = theory.training_time(2 * t / alpha, alpha, 0.7, 0.0, 0.4)
    np.testing.assert_allclose(theory.levi_test_loss(t, 1 / alpha, 1.1), advani, rtol=1e-12)


@pytest.mark.parametrize("lam", [0.01, 0.3])
@pytest.mark.parametrize("t", [0.2, 3.0])
def test_ridge_losses_are_those_of_gradient_flow(lam, t):
    random = np.random.default_rng(3)
    x = random.standard_normal((10, 40))
    covariance = x.T @ x / 10
    flow = expm(-t * (covariance + lam * np.eye(40)))
    weights = flow @ (1.5 * random.standard_normal((40, 4000)))
    eigenvalues = np.linalg.eigvalsh(covariance)
    expected = theory.ridge_grokking_train_loss(t, lam, eigenvalues, 2.25)
    assert_simulated(np.mean((x @ weights) ** 2, axis=0), float(expected), relative=0.0)
    expected = theory.ridge_grokking_test_loss(t, lam, eigenvalues, 2.25)
    assert_simulated(np.sum(weights**2, axis=0), float(expected), relative=0.0)


def test_eigenvalues_that_occur_several_times_count_as_often():
    several = (
        theory.ridge_grokking_test_loss(0.4, 0.1, [0.5, 0.5, 2.0]),
        theory.ridge_grokking_train_loss(0.4, 0.1, [0.5, 0.5, 2.0]),
    )
    counted = (
        theory.ridge_grokking_test_loss(0.4, 0.1, [0.5, 2.0], counts=[2, 1]),
        theory.ridge_grokking_train_loss(0.4, 0.1, [0.5, 2.0], counts=[2, 1]),
    )
    np.testing.assert_allclose(several, counted, rtol=1e-14)


def test_ridge_times_of_the_reference():
    """400 features, 100 examples, level 0.01: computed apart from this module."""
    lam = np.array([1e-1, 1e-2, 1e-3, 1e-4])
    times = theory.ridge_grokking_test_time(0.01, lam, 400, 100)
    np.testing.assert_allclose(times, [51.5, 515, 5154, 51545], rtol=1e-3)
    eigenvalues, weights = theory.marchenko_pastur(4.0)
    losses = theory.ridge_grokking_test_loss(times, lam, eigenvalues, counts=400 * weights)
    np.testing.assert_allclose(losses, 0.01, rtol=1e-6)


def test_weight_decay_shrinks_what_no_example_has_a_part_of():
    rate, decay = 0.05, 0.02
    x = np.random.default_rng(4).standard_normal((5, 30))
    weights = np.linalg.svd(x)[2][-1] * 8.0
    steps = 0
    while np.linalg.norm(weights) > 2.0:
        weights = weights - rate * (x.T @ (x @ weights) / 5 + decay * weights)
        steps += 1
    assert theory.norm_decay_steps(8.0, 2.0, rate, decay) == pytest.approx(steps, rel=2e-3)


def left_kernel_regime(init_scale, lam):
    """Return (time, where the weights are at 0.7 of it, least norm): a diagonal network <u^2 - v^2, x>, u = v = init_scale.

    The target has one weight. The kernel at the start gives the solution of least norm; the time is that from which on the
    weights are nearer to the target than to it.
    """
    random, num = np.random.default_rng(0), 12
    x, target = random.standard_normal((6, num)), np.eye(num)[0]
    covariance, least_norm = x.T @ x / 6, np.linalg.pinv(x) @ x @ target

    def flow(_, params):
        u, v = np.split(params, 2)
        gradient = covariance @ (u**2 - v**2 - target)
        return np.concatenate([-2 * u * gradient - lam * u, 2 * v * gradient - lam * v])

    end = 1.5 * np.log(init_scale) / lam
    times = np.linspace(0, end, 4001)[100:]
    found = solve_ivp(flow, (0, end), np.full(2 * num, init_scale), method="LSODA", t_eval=times, rtol=1e-7, atol=1e-9)
    weights = found.y[:num] ** 2 - found.y[num:] ** 2
    nearer = np.linalg.norm(weights - target[:, None], axis=0) < np.linalg.norm(weights - least_norm[:, None], axis=0)
    return times[nearer.argmax()], weights[:, np.searchsorted(times, 0.7 * np.log(init_scale) / lam)], least_norm


def test_a_homogeneous_network_leaves_its_kernel_at_the_logarithm_of_its_scale():
    """The law leaves a constant open: what the scale, or the penalty, adds to the time is compared."""
    (first, early, least_norm), (later, _, _) = (left_kernel_regime(init_scale, 1e-3) for init_scale in (1e2, 1e3))
    np.testing.assert_allclose(early, least_norm, atol=2e-3)
    law = theory.kernel_regime_time([1e2, 1e3], 1e-3)
    assert later - first == pytest.approx(law[1] - law[0], rel=0.02)
    assert left_kernel_regime(1e3, 2e-3)[0] == pytest.approx(later / 2, rel=0.02)


@pytest.mark.parametrize(("modulus", "num_train"), [(7, 20), (13, 100)])
def test_the_share_of_mirrored_pairs_is_that_of_random_splits(modulus, num_train):
    random = np.random.default_rng(5)
    shares = []
    for _ in range(3000):
        is_train = np.zeros(modulus**2, bool)
        is_train[random.permutation(modulus**2)[:num_train]] = True
        is_train = is_train.reshape(modulus, modulus)
        shares.append(is_train.T[~is_train].mean())
    assert_simulated(shares, float(theory.mirrored_share(modulus, num_train)), relative=0.0)


def test_a_network_holds_as_many_labels_as_its_states_can_tell_apart():
    """16 parameters of 3 bits have 2^48 states: as many as there are labellings of 24 examples with 4 classes."""
    assert theory.memorisable_labels(16, 4, 3.0) == 24
    assert theory.chance_accuracy(4) == 0.25


def test_formulas_broadcast():
    column, row = np.ones((3, 1)), np.full(4, 0.5)
    assert theory.levi_test_loss(column, row).shape == (3, 4)
    assert theory.levi_delay(0.01 * column, row).shape == (3, 4)
    assert theory.ridge_grokking_test_loss(column, row, [1.0, 2.0]).shape == (3, 4)
    assert theory.ridge_grokking_train_loss(column, row, [1.0, 2.0]).shape == (3, 4)
    for formula in (theory.norm_decay_steps(column, row, 1, 1), theory.mirrored_share(column, row)):
        assert formula.shape == (3, 4)
