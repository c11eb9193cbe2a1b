"""The diagonal linear network against NumPy: its descent, and the interpolations that large and small weights lead to."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from scipy.optimize import linprog

from ddlab.errors import ConfigError
from tests.support import FLOAT64, dataset_of, leaves_of, make_pack, weights_of

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("fast_packs", "float64")]

D = 30
SHARED = (
    "data=gaussian",
    f"data.num_features={D}",
    "data.num_train=12",
    "data.num_relevant=2",
    "data.noise_variance=0",
    "model=diagonal",
    "train.loss=mse",
    "train.batch_size=null",
    "optimizer=sgd",
    "optimizer.momentum=0",
    FLOAT64,
)


def trained(leaves, steps):
    """Return the data and the weight u^2 - v^2 after some steps."""
    program, inputs = make_pack([leaves])
    state = jax.jit(lambda inputs: program.advance(program.init(inputs), inputs, steps))(inputs)
    plus, minus = (np.asarray(array[0]) for array in jax.tree.leaves(state.trial.params)[::-1])
    return dataset_of(leaves), plus**2 - minus**2


def test_all_weights_begin_with_the_norm_of_the_initial_scale():
    *_, weights = weights_of(leaves_of(*SHARED, "model.init_scale=3"))
    np.testing.assert_allclose(np.concatenate([weights["plus"], weights["minus"]]), 3 / np.sqrt(2 * D), rtol=1e-12)


def test_it_descends_as_in_numpy():
    data, found = trained(
        leaves_of(*SHARED, "model.init_scale=2", "optimizer.learning_rate=0.01", "optimizer.weight_decay=0.3"), 50
    )
    x, y = data.train.inputs, data.train.targets[:, 0]
    u = v = np.full(D, 2 / np.sqrt(2 * D))
    for _ in range(50):
        gradient = 2 * x.T @ (x @ (u**2 - v**2) - y) / len(x)
        u, v = u - 0.01 * (2 * u * gradient + 0.3 * u), v - 0.01 * (-2 * v * gradient + 0.3 * v)
    np.testing.assert_allclose(found, u**2 - v**2, rtol=1e-9)


def test_large_weights_lead_to_the_least_l2_norm_and_small_ones_to_the_least_l1_norm():
    """Woodworth et al. (2020): from infinite and from vanishing weights, of which modes that are small already learn slowly."""
    data, of_large = trained(leaves_of(*SHARED, "model.init_scale=300", "optimizer.learning_rate=2e-6"), 20_000)
    x, y = data.train.inputs, data.train.targets[:, 0]
    np.testing.assert_allclose(of_large, np.linalg.pinv(x) @ y, atol=1e-4)
    _, of_small = trained(leaves_of(*SHARED, "model.init_scale=1e-3", "optimizer.learning_rate=0.02"), 20_000)
    assert np.linalg.norm(x @ of_small - y) < 1e-3 * np.linalg.norm(y)
    least = linprog(np.ones(2 * D), A_eq=np.hstack([x, -x]), b_eq=y).fun  # of w = p - q with p, q >= 0
    assert np.abs(of_small).sum() < 1.01 * least
    assert np.abs(of_large).sum() > 1.4 * least


@pytest.mark.parametrize("words", [("data=modular",), ("data=digits",)])
def test_tokens_and_several_outputs_are_refused(words):
    with pytest.raises(ConfigError, match="a diagonal network takes real inputs, not tokens, and has one output"):
        make_pack([leaves_of(*SHARED[5:], *words)])
