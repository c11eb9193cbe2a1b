"""Which metrics theories predict, and of which trials."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ddlab import theory
from ddlab.errors import ConfigError
from ddlab.report.theories import THEORIES, check_theory, predicted, predicted_at

FLOW = {
    "data._target_": "ddlab.data.Gaussian",
    "model._target_": "ddlab.models.Linear",
    "optimizer._target_": "ddlab.optimizers.GradientFlow",
    **{
        "data.eigenvalues": None,
        "data.coefficients": None,
        "data.num_relevant": None,
        "data.test_cutoff": 0.0,
        "optimizer.cutoff": 0.0,
    },
    **{"data.num_features": 20, "model.width": 20, "data.noise_variance": 0.0, "optimizer.weight_decay": 0.0},
    **{"optimizer.learning_rate": 0.1, "last_step": 100},
}
STEPS = [0, 3, 40, 100]


def rows_of(**columns):
    return pd.DataFrame({"step": STEPS, "num_train": 50, "data.signal": 0.0, "model.init_scale": 1.0}).assign(
        **{**FLOW, **columns}
    )


LEVI = rows_of(**{"data.signal": 0.5, "model.init_scale": 2.0})
RIDGE = rows_of(**{"optimizer.weight_decay": 0.02, "model.init_scale": 3.0, "num_train": 5})


def test_a_linear_student_has_both_losses():
    time = np.array([0, 0.3, 4, 10])
    for metric, loss in (("train_loss", theory.levi_train_loss), ("test_loss", theory.levi_test_loss)):
        np.testing.assert_allclose(predicted("levi", metric, LEVI), loss(time, 0.4, 4.5), rtol=1e-12)
    np.testing.assert_array_equal(predicted("levi", "excess_risk", LEVI), predicted("levi", "test_loss", LEVI))


def test_without_noise_it_has_the_risk_of_any_student_in_training():
    np.testing.assert_allclose(predicted("levi", "test_loss", LEVI), predicted("training_time", "test_loss", LEVI), rtol=1e-12)


def test_ridge_regression_on_nothing_begins_at_its_weights_and_forgets_most_of_them_by_the_penalty():
    test, train = (predicted("ridge_grokking", metric, RIDGE) for metric in ("test_loss", "train_loss"))
    assert test[0] == pytest.approx(9)
    assert train[0] == pytest.approx(9)  # the mean eigenvalue is 1
    assert test[-1] == pytest.approx(9 * (15 / 20) * np.exp(-2 * 0.01 * 20), rel=1e-6)
    assert train[-1] < 1e-6


def test_a_trial_that_has_stopped_keeps_its_value():
    stopped = LEVI.assign(last_step=40)
    values = predicted("levi", "test_loss", stopped)
    np.testing.assert_array_equal(values[:3], predicted("levi", "test_loss", LEVI)[:3])
    assert values[3] == values[2]
    several = pd.concat([LEVI, stopped, stopped], ignore_index=True)
    expected = predicted("levi", "test_loss", several)
    np.testing.assert_array_equal(predicted_at("levi", "test_loss", several, ["step"]), expected)


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [
        ("levi", "data.noise_variance", 0.1),
        ("levi", "optimizer.weight_decay", 0.1),
        ("levi", "optimizer._target_", "ddlab.optimizers.Ridge"),
        ("ridge_grokking", "data.signal", 1.0),
        ("ridge_grokking", "data.noise_variance", 0.1),
        ("training_time", "data.num_relevant", 5),
    ],
)
def test_a_theory_is_refused_where_its_assumptions_do_not_hold(name, column, value):
    rows = rows_of(**{column: value})
    with pytest.raises(ConfigError, match=f"theory={name}: assumes {column}="):
        predicted(name, "test_loss", rows)


@pytest.mark.parametrize("name", ["levi", "ridge_grokking", "training_time"])
def test_a_student_that_sees_some_features_only_is_refused(name):
    with pytest.raises(ConfigError, match=r"assumes model\.width=data\.num_features"):
        predicted(name, "test_loss", rows_of(**{"model.width": 10}))


def test_each_theory_says_what_it_predicts():
    losses = {name for name, found in THEORIES.items() if "train_loss" in found.metrics}
    assert losses == {"levi", "ridge_grokking"}
    assert all({"excess_risk", "test_loss"} <= found.metrics.keys() for found in THEORIES.values())
    check_theory("o", "levi", "train_loss", None)
    with pytest.raises(ConfigError, match=r"o=ridge: predicts excess_risk, test_loss, not train_loss"):
        check_theory("o", "ridge", "train_loss", None)


def test_the_risk_at_the_best_penalty_needs_a_penalty_to_choose():
    check_theory("o", "optimal_ridge", "test_loss", "optimizer.weight_decay")
    for best_over in (None, "model.width"):
        with pytest.raises(ConfigError, match=r"needs best_over: optimizer\.weight_decay"):
            check_theory("o", "optimal_ridge", "test_loss", best_over)
