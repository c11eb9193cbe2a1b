"""Scores of weights against formulas: of linear regression, and of two layers without a bias."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from ddlab.config.trial import parse
from ddlab.parameters import named
from ddlab.starts import Grasp, Growth, Magnitude, Movement, Random, Snip, SynFlow, Taylor
from tests.support import leaves_of, make_pack

pytestmark = pytest.mark.numeric

RUN = ("measures=none", "train.dtype=float64")
LINEAR = (
    *("data=gaussian", "data.num_features=7", "data.num_train=23"),
    *("model=linear", "model.width=7", "model.init_scale=1", "train.loss=mse"),
)
TWO_LAYERS = ("data=digits", "data.num_train=40", "model.width=5", "model.init_scale=2", "train.batch_size=20")


def scored(score, *words, change=1.0):
    """Return (scores, weights, inputs of the program) of a trial, its weights a multiple of those that it has drawn."""
    with jax.enable_x64(True):
        program, inputs = make_pack([leaves_of(*RUN, *words)])
        begun = jax.device_get(jax.jit(program.init)(inputs))
        trial = begun.trial._replace(params=jax.tree.map(lambda array: change * array, begun.trial.params))
        found = jax.device_get(jax.jit(partial(program.scores, score))(begun._replace(trial=trial), inputs))
    terms, weights = ({name: array[0] for name, array in named(tree).items()} for tree in (found, trial.params))
    scores = {name: score.of_sets(array.reshape(-1, 1)).reshape(array.shape) for name, array in terms.items()}
    return (scores, weights), inputs


@pytest.mark.parametrize("score", [Snip(), Grasp(), Taylor(order=1), Taylor(order=2)], ids=str)
def test_of_least_squares_they_are_those_of_its_gradient_and_hessian(score):
    """L = |X w - y|^2 / N: g = 2 X^T (X w - y) / N, H = 2 X^T X / N; the features of the model are those of the data."""
    (scores, weights), inputs = scored(score, *LINEAR)
    ((name, w),) = weights.items()
    w = w.ravel().astype(float)
    x, y = (inputs.shared[f"train_{what}"][0].astype(float) for what in ("inputs", "targets"))
    y = y.ravel()
    g, h = 2 * x.T @ (x @ w - y) / len(y), 2 * x.T @ x / len(y)
    expected = {
        "Snip()": np.abs(w * g),
        "Grasp()": w * (h @ g),
        "Taylor(order=1)": (w * g) ** 2,
        "Taylor(order=2)": (w * g - w * (h @ w) / 2) ** 2,
    }[str(score)]
    np.testing.assert_allclose(scores[name].ravel(), expected, rtol=1e-9)


def test_the_flow_of_two_layers_is_the_product_along_their_paths():
    """R = sum_k |b_k| + sum_jk (sum_i |W_ij| + |a_j|) |V_jk| for an input of ones."""
    (scores, weights), _ = scored(SynFlow(), *TWO_LAYERS)
    first, second = np.abs(weights["layers.0.weight"]), np.abs(weights["layers.1.weight"])
    bias = np.abs(weights["layers.0.bias"])
    np.testing.assert_allclose(scores["layers.0.weight"], first * second.sum(axis=1), rtol=1e-9)
    np.testing.assert_allclose(scores["layers.1.weight"], second * (first.sum(axis=0) + bias)[:, None], rtol=1e-9)


def test_magnitude_growth_and_chance():
    (scores, weights), _ = scored(Magnitude(), *TWO_LAYERS, change=3.0)
    (growth, _), _ = scored(Growth(), *TWO_LAYERS, change=3.0)
    (chance, _), _ = scored(Random(), *TWO_LAYERS)
    for name, array in weights.items():
        np.testing.assert_array_equal(scores[name], np.abs(array))
        np.testing.assert_allclose(growth[name], np.abs(array) * 2 / 3, rtol=1e-12)
        assert not chance[name].any()


def test_movement_is_what_gradient_descent_adds_up():
    """Of -w g times the rate, along the path of a quadratic loss at a small rate."""
    rng, rate = np.random.default_rng(0), 1e-4
    square, target = rng.normal(size=(6, 6)), rng.normal(size=6)
    drawn, moved = rng.normal(size=6), np.zeros(6)
    weights = drawn.copy()
    for _ in range(5000):
        gradient = square.T @ (square @ weights - target)
        moved -= rate * weights * gradient
        weights = weights - rate * gradient
    assert abs(moved).min() > 0.01
    found = Movement()(SimpleNamespace(params=weights, start_fn=lambda: drawn))
    np.testing.assert_allclose(found, moved, atol=0.01 * abs(moved).max())


def test_what_lies_below_a_word_within_a_word_can_be_set():
    leaves = leaves_of("start.mask.score.order=2", "start.mask.score=taylor", "start.mask=cut")
    assert parse(leaves).start.mask.score == Taylor(order=2)
