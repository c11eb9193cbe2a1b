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
                rows.append({"x": at, "data.seed": d, "init_seed": f, "predictions": predictions, "prediction_targets": targets})
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
    found = ensemble_rows(rows, ["x"], SEEDS)
    assert found["data.seed"].tolist() == [0, 1, 2, 3]
    members = rows[rows["data.seed"] == 2]
    residuals = np.stack(list(members["predictions"] - members["prediction_targets"]))
    assert found["ensemble_risk"][2] == pytest.approx(np.mean(residuals.mean(axis=0) ** 2))
    assert found["variance_over_features"][2] == pytest.approx(residuals.var(axis=0, ddof=1).mean())
    assert found["variance_over_features"].mean() == pytest.approx(3.5, rel=0.05)


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
