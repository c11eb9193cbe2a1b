"""Means and gradients over a data set in chunks, against NumPy and the whole set at once."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddlab.measures.examples import mean, mean_gradient

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
        square, wrong = mean(linear, squares, jnp.asarray(params), (jnp.asarray(x), jnp.asarray(y)), chunk)
        np.testing.assert_allclose(square, ((x @ params - y[:, None]) ** 2).sum(1).mean(), rtol=1e-12)
        np.testing.assert_allclose(wrong, ((x @ params).argmax(1) != y).mean(), rtol=1e-12)


def test_gradients_are_those_of_numpy_and_of_the_differentiated_mean(problem):
    params, (x, y), chunk = problem
    with jax.enable_x64(True):
        examples = jnp.asarray(x), jnp.asarray(y)

        def loss_only(outputs, targets):
            return squares(outputs, targets)[0]

        gradient = mean_gradient(linear, loss_only, jnp.asarray(params), examples, chunk)
        np.testing.assert_allclose(gradient, 2 * x.T @ (x @ params - y[:, None]) / len(y), rtol=1e-10, atol=1e-14)
        through = jax.grad(lambda params: mean(linear, loss_only, params, examples, chunk))(jnp.asarray(params))
        np.testing.assert_allclose(through, gradient, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("num", [3, 4000, 100_003])
def test_a_fraction_of_all_examples_is_exactly_one(num):
    examples = jnp.zeros((num, 1)), jnp.ones(num, jnp.int32)
    wrong = mean(lambda _, x: x, lambda _, y: y == 1, jnp.zeros(()), examples, 128)
    assert float(wrong) == 1.0
