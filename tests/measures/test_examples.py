"""Means and gradients over a data set in chunks, against NumPy and the whole set at once."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddlab.measures.examples import Examples, mean, mean_gradient, measured_mean

pytestmark = pytest.mark.numeric

SIZES = [(1, 4), (5, 5), (7, 3), (1000, 128), (1025, 1024)]


def linear(params, inputs):
    return inputs @ params


@pytest.fixture(params=SIZES, ids=lambda size: f"{size[0]} examples in chunks of {size[1]}")
def problem(request):
    num, chunk = request.param
    random = np.random.default_rng(num)
    return random.normal(size=(3, 2)), (random.normal(size=(num, 3)), random.integers(2, size=num)), chunk


def squares(outputs, targets):
    return ((outputs - targets[:, None].astype(outputs.dtype)) ** 2).sum(1), outputs.argmax(1) != targets


def test_means_are_those_of_numpy(problem):
    params, (x, y), chunk = problem
    with jax.enable_x64(True):
        square, wrong = mean(linear, squares, jnp.asarray(params), Examples.of(jnp.asarray(x), jnp.asarray(y)), chunk)
        np.testing.assert_allclose(square, ((x @ params - y[:, None]) ** 2).sum(1).mean(), rtol=1e-12)
        np.testing.assert_allclose(wrong, ((x @ params).argmax(1) != y).mean(), rtol=1e-12)


def test_gradients_are_those_of_numpy_and_of_the_differentiated_mean(problem):
    params, (x, y), chunk = problem
    with jax.enable_x64(True):
        examples = Examples.of(jnp.asarray(x), jnp.asarray(y))

        def loss_only(outputs, targets):
            return squares(outputs, targets)[0]

        gradient = mean_gradient(linear, loss_only, jnp.asarray(params), examples, chunk)
        np.testing.assert_allclose(gradient, 2 * x.T @ (x @ params - y[:, None]) / len(y), rtol=1e-10, atol=1e-14)
        through = jax.grad(lambda params: mean(linear, loss_only, params, examples, chunk))(jnp.asarray(params))
        np.testing.assert_allclose(through, gradient, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("num", [3, 4000, 100_003])
def test_a_fraction_of_all_examples_is_exactly_one(num):
    examples = Examples.of(jnp.zeros((num, 1)), jnp.ones(num, jnp.int32))
    wrong = mean(lambda _, x: x, lambda _, y: y == 1, jnp.zeros(()), examples, 128)
    assert float(wrong) == 1.0


@pytest.mark.parametrize("chunk", [4, 7, 100])
def test_trials_with_data_and_numbers_of_their_own_have_the_means_of_their_first_rows(chunk):
    """Five trials of three data sets of 20 rows, of which they have 1 to 20; `most` leaves out chunks that nobody needs."""
    random = np.random.default_rng(0)
    params, x, y = random.normal(size=(3, 2)), random.normal(size=(3, 20, 3)), random.integers(2, size=(3, 20))
    which, num = np.array([0, 2, 1, 1, 0], np.int32), np.array([1, 8, 20, 13, 4], np.int32)

    def loss_only(outputs, targets):
        return squares(outputs, targets)[0]

    def of_trial(most, which, num):
        examples = Examples((jnp.asarray(x), jnp.asarray(y)), (which, which), num, most)
        arguments = linear, loss_only, jnp.asarray(params), examples, chunk
        taken = examples.take(jnp.arange(3, dtype=jnp.uint32))
        return mean(*arguments), measured_mean(*arguments), mean_gradient(*arguments), *taken, examples.live

    def all_trials(which, num):
        return jax.vmap(lambda *own: of_trial(jnp.max(num), *own))(which, num)

    for trials in (slice(None), slice(3, 5)):
        with jax.enable_x64(True):
            found = jax.device_get(jax.jit(all_trials)(which[trials], num[trials]))
        for k, (place, n) in enumerate(zip(which[trials], num[trials], strict=True)):
            inputs, targets = x[place, :n], y[place, :n]
            wrong = inputs @ params - targets[:, None]
            np.testing.assert_allclose([found[0][k], found[1][k]], (wrong**2).sum(1).mean(), rtol=1e-12)
            np.testing.assert_allclose(found[2][k], 2 * inputs.T @ wrong / n, rtol=1e-10)
            np.testing.assert_array_equal(found[3][k], x[place, :3])
            np.testing.assert_array_equal(found[4][k], y[place, :3])
            assert found[5][k].sum() == n
