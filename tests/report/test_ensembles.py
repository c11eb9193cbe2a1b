"""Bias, variance and ensembles from predictions whose parts are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ddlab.errors import ConfigError
from ddlab.report.ensembles import COMPONENTS, components, ensemble_rows
from tests.support import SEEDS

NUM_POINTS = 4000


def trials(num_data=4, num_features=5, *, x=(1.0,), data=0.5, features=1.5, both=2.0, bias=0.3, seed=0):
    """Return rows whose predictions are targets + bias + a_d + b_f + c_df at every point, of the given variances."""
    random = np.random.default_rng(seed)
    targets = random.normal(size=NUM_POINTS)
    rows = []
    for at in x:
        of_data, of_features = (
            random.normal(size=(num, NUM_POINTS)) * variance**0.5
            for num, variance in ((num_data, data), (num_features, features))
        )
        for d in range(num_data):
            for f in range(num_features):
                rest = random.normal(size=NUM_POINTS) * both**0.5
                predictions = targets + bias + of_data[d] + of_features[f] + rest
                outputs = {"num_outputs": 1, "predictions": predictions, "prediction_targets": targets}
                rows.append({"x": at, "data.seed": d, "init_seed": f, **outputs})
    return pd.DataFrame(rows).sample(frac=1, random_state=0)


def test_the_parts_are_found_and_add_up_to_the_risk():
    found = components(trials(x=(1.0, 2.0)), ["x"], SEEDS)
    expected = {"bias_squared": 0.09, "variance_data": 0.5, "variance_features": 1.5, "variance_both": 2.0}
    for name, value in expected.items():
        # Relative standard error of a variance over 4000 points and at least 3 degrees of freedom: sqrt(2 / 12000) = 1.3 %, to
        # which the variance of both adds.
        np.testing.assert_allclose(found[name], value, atol=0.1, err_msg=name)
    np.testing.assert_allclose(found[list(COMPONENTS)].sum(axis=1), found["risk"], rtol=0.02)
    np.testing.assert_allclose(found["ensemble_risk"], 0.09 + 0.5 + (1.5 + 2.0) / 5, rtol=0.1)
    assert "variance_noise" not in found
    assert components(trials().assign(variance_noise=0.25), ["x"], SEEDS)["variance_noise"].tolist() == [0.25]
    assert found["data_seeds"].tolist() == [4, 4]
    assert found["feature_seeds"].tolist() == [5, 5]


def test_an_ensemble_has_a_row_for_each_data_seed():
    rows = trials()
    found = ensemble_rows(rows, "ensemble_risk", ["x"], SEEDS)
    found = found.merge(ensemble_rows(rows, "variance_over_features", ["x"], SEEDS))
    assert found["data.seed"].tolist() == [0, 1, 2, 3]
    members = rows[rows["data.seed"] == 2]
    residuals = np.stack(list(members["predictions"] - members["prediction_targets"]))
    assert found["ensemble_risk"][2] == pytest.approx(np.mean(residuals.mean(axis=0) ** 2))
    assert found["variance_over_features"][2] == pytest.approx(residuals.var(axis=0, ddof=1).mean())
    assert found["variance_over_features"].mean() == pytest.approx(3.5, rel=0.05)
    alone = ensemble_rows(rows, "member_risk", ["x"], SEEDS)
    assert alone["member_risk"][2] == pytest.approx(np.square(residuals).mean())
    assert alone["examples"].tolist() == [NUM_POINTS] * 4


def test_what_cannot_be_decomposed_says_why():
    rows = trials()
    with pytest.raises(ConfigError, match="not stored"):
        components(rows.drop(columns="predictions"), ["x"], SEEDS)
    with pytest.raises(ConfigError, match="grid"):
        components(rows.iloc[1:], ["x"], SEEDS)
    with pytest.raises(ConfigError, match="two data seeds"):
        components(rows[rows["data.seed"] == 0], ["x"], SEEDS)
    moved = rows.copy()
    moved["prediction_targets"] = [
        targets + seed for targets, seed in zip(rows["prediction_targets"], rows["data.seed"], strict=True)
    ]
    with pytest.raises(ConfigError, match="test points"):
        components(moved, ["x"], SEEDS)


K = 3


def classifiers(loss, num_data=2, num_features=4, points=50):
    """Return trials of classes whose outputs are random; each data seed has test points of its own."""
    random = np.random.default_rng(0)
    rows = []
    for d in range(num_data):
        labels = random.integers(K, size=points)
        for f in range(num_features):
            outputs = 2 * random.normal(size=(points, K)) + np.eye(K)[labels]
            rows.append({"data.seed": d, "init_seed": f, "test_error": 0.5, "num_outputs": K, "train.loss._target_": loss})
            rows[-1] |= {"predictions": outputs.ravel(), "prediction_targets": np.eye(K)[labels].ravel()}
    return pd.DataFrame(rows).sample(frac=1, random_state=0)


def of_data(rows, seed):
    """Return outputs [F, points, K] and labels [points] of a data seed."""
    members = rows[rows["data.seed"] == seed]
    arrays = (np.stack([array.reshape(-1, K) for array in members[name]]) for name in ("predictions", "prediction_targets"))
    outputs, targets = arrays
    return outputs, targets[0].argmax(axis=-1)


def test_networks_of_classes_are_averaged_by_their_probabilities():
    rows = classifiers("ddlab.losses.CrossEntropy")
    errors, losses = (ensemble_rows(rows, metric, [], SEEDS) for metric in ("ensemble_error", "ensemble_loss"))
    for seed in (0, 1):
        outputs, labels = of_data(rows, seed)
        mean = (np.exp(outputs) / np.exp(outputs).sum(axis=-1, keepdims=True)).mean(axis=0)
        right = mean[np.arange(len(labels)), labels]
        assert errors["ensemble_error"][seed] == pytest.approx((mean.argmax(axis=-1) != labels).mean())
        assert losses["ensemble_loss"][seed] == pytest.approx(-np.log(right).mean(), rel=1e-12)
        assert (outputs.mean(axis=0).argmax(axis=-1) != mean.argmax(axis=-1)).any()  # it matters what is averaged


def test_the_members_of_an_ensemble_are_measured_alone_at_the_same_examples():
    for loss in ("CrossEntropy", "MSE"):
        rows = classifiers(f"ddlab.losses.{loss}")
        errors, losses = (ensemble_rows(rows, metric, [], SEEDS) for metric in ("member_error", "member_loss"))
        for seed in (0, 1):
            outputs, labels = of_data(rows, seed)
            probabilities = np.exp(outputs) / np.exp(outputs).sum(axis=-1, keepdims=True)
            right = probabilities[:, np.arange(len(labels)), labels]
            expected = -np.log(right).mean() if loss == "CrossEntropy" else np.square(outputs - np.eye(K)[labels]).mean()
            assert losses["member_loss"][seed] == pytest.approx(expected, rel=1e-12)
            assert errors["member_error"][seed] == pytest.approx(
                np.mean([(one.argmax(axis=-1) != labels).mean() for one in outputs])
            )


@pytest.mark.parametrize("metric", ["ensemble_risk", "ensemble_loss", "ensemble_error", "variance_over_features"])
def test_one_network_is_no_ensemble(metric):
    rows = classifiers("ddlab.losses.MSE", num_features=1)
    with pytest.raises(ConfigError, match=f"metric={metric}: needs two networks or more of each draw of the data"):
        ensemble_rows(rows, metric, [], SEEDS)
    assert np.isfinite(ensemble_rows(rows, "member_loss", [], SEEDS)["member_loss"]).all()


def test_of_squared_loss_the_outputs_are_averaged():
    rows = classifiers("ddlab.losses.MSE")
    errors, losses = (ensemble_rows(rows, metric, [], SEEDS) for metric in ("ensemble_error", "ensemble_loss"))
    for seed in (0, 1):
        outputs, labels = of_data(rows, seed)
        mean = outputs.mean(axis=0)
        assert errors["ensemble_error"][seed] == pytest.approx((mean.argmax(axis=-1) != labels).mean())
        assert losses["ensemble_loss"][seed] == pytest.approx(np.square(mean - np.eye(K)[labels]).mean(), rel=1e-12)


def test_logarithms_of_probabilities_do_not_underflow():
    rows = classifiers("ddlab.losses.CrossEntropy", num_features=2)
    rows["predictions"] = [1000 * (1 - targets) for targets in rows["prediction_targets"]]
    assert ensemble_rows(rows, "ensemble_loss", [], SEEDS)["ensemble_loss"].tolist() == pytest.approx([1000 + np.log(2)] * 2)


def test_what_is_no_ensemble_of_classes_says_why():
    for metric in ("ensemble_error", "ensemble_loss", "member_error", "member_loss"):
        with pytest.raises(ConfigError, match=f"metric={metric}: is of data with one class an example"):
            ensemble_rows(trials(), metric, ["x"], SEEDS)
    with pytest.raises(ConfigError, match=r"cross_entropy and mse, not for ddlab\.losses\.Hinge"):
        ensemble_rows(classifiers("ddlab.losses.Hinge"), "ensemble_loss", [], SEEDS)
    rows = classifiers("ddlab.losses.MSE")
    rows["prediction_targets"] = [
        np.roll(targets, seed) for targets, seed in zip(rows["prediction_targets"], rows["init_seed"], strict=True)
    ]
    with pytest.raises(ConfigError, match="trials of the same data seed have different test points"):
        ensemble_rows(rows, "ensemble_error", [], SEEDS)
