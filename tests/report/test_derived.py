"""The test error that noisy test labels would give, against corrupted labels; N in units of the complexity of known curves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ddlab.data.noise import corrupt
from ddlab.report.claims import PASS, make_claim
from ddlab.report.derived import with_complexity, with_noisy_error
from ddlab.report.figures import make_recipe
from ddlab.store.results import Results
from tests.support import SWEEP

K = 5
ERROR = 0.3


def results_of(noise, error=ERROR, classes=K):
    """Return results of a trial for each level and convention of label noise, all of one test error."""
    trials = [
        {"trial_id": f"{k}", "data.label_noise": level, "data.noise_convention": convention, "num_outputs": classes}
        | {"model.width": k + 1, "seed": 0, "status": "completed", "last_step": 1, "num_train": 10, "params_per_sample": 1.0}
        for k, (level, convention) in enumerate(noise)
    ]
    curves = [{"trial_id": trial["trial_id"], "step": 1, "test_error": error, "train_error": 0.0} for trial in trials]
    return with_noisy_error(Results(pd.DataFrame(trials), pd.DataFrame(curves), SWEEP))


@pytest.mark.parametrize("convention", ["any", "wrong"])
@pytest.mark.parametrize("level", [0.0, 0.15, 0.4, 1.0])
def test_it_is_the_error_on_corrupted_labels(level, convention):
    """However the network errs: always to one class here. The standard error of a share of 400,000 is at most 0.0008."""
    random = np.random.default_rng(0)
    labels = random.integers(K, size=400_000)
    answers = np.where(random.random(len(labels)) < ERROR, (labels + 1) % K, labels)
    simulated = (answers != corrupt(labels, level, K, convention, seed=3)).mean()
    found = results_of([(level, convention)], error=(answers != labels).mean())
    assert found.curves["noisy_test_error"].item() == pytest.approx(simulated, abs=0.003)


def test_any_at_a_level_is_wrong_at_a_share_of_it():
    any_, wrong = results_of([(0.2, "any"), (0.2 * (K - 1) / K, "wrong")]).curves["noisy_test_error"]
    assert any_ == pytest.approx(wrong, rel=1e-12)
    assert wrong == pytest.approx(1 - ((1 - ERROR) * (1 - 0.16) + ERROR * 0.16 / (K - 1)), rel=1e-12)


def test_without_noise_it_is_the_test_error_and_of_regression_there_is_none():
    found = results_of([(0.0, "any"), (None, None)]).curves["noisy_test_error"]
    assert found[0] == pytest.approx(ERROR)
    assert np.isnan(found[1])
    regression = Results(pd.DataFrame([{"trial_id": "0"}]), pd.DataFrame([{"trial_id": "0", "test_loss": 1.0}]), SWEEP)
    assert with_noisy_error(regression) is regression


def test_figures_and_claims_take_it_and_say_which_labels_it_is_on():
    results = results_of([(0.2, "wrong")] * 2)
    results.trials["data.noise_convention"] = "wrong"
    panels = [{"metrics": ["test_error", "noisy_test_error", "train_error"], "y_scale": "linear"}]
    recipe = make_recipe("f", {"recipe": "curve", "x": "model.width", "panels": panels})
    frame = recipe.frame(results)
    named = [mark.series.label for mark in recipe.chart(frame).legend]
    assert named[:3] == ["test (clean labels)", "test (noisy labels)", "train"]
    assert recipe.caption(frame).startswith("test error (clean labels), test error (noisy labels), train error against width")
    claim = {"kind": "value", "metric": "noisy_test_error", "where": {"model.width": 1}, "source": "s"}
    found = make_claim("c", {**claim, "between": [0.424, 0.426]}).verdict("c", results)
    assert (found.status, found.says) == (PASS, "test error (noisy labels) (width 1)")


@pytest.mark.parametrize(("level", "label"), [(0.0, "test error"), (0.1, "test error (clean labels)")])
def test_where_there_is_noise_a_test_error_is_on_clean_labels(level, label):
    recipe = make_recipe("f", {"recipe": "curve", "x": "model.width", "metric": "test_error", "y_scale": "linear"})
    frame = recipe.frame(results_of([(level, "any")] * 2))
    assert recipe.chart(frame).panels[0].y.label == label
    assert recipe.caption(frame).startswith(f"{label} against width")


def learnt_up_to(emc, metric="train_error", level=0.1, **columns):
    """Return results of trials of 10, 20, 40 and 80 examples, two seeds each, whose metric crosses a level at emc of them."""
    sizes = [10, 20, 40, 80]
    trials = [
        {"trial_id": f"{num}-{seed}", "num_train": num, "data.num_train": num, "num_outputs": 5, "seed": seed, "model.width": 3}
        | {"status": "completed", "last_step": 1, "params_per_sample": 30 / num, **columns}
        for num in sizes
        for seed in (0, 1)
    ]
    heights = {num: level * (1 + np.log2(num / emc)) for num in sizes}  # a straight line in log n
    curves = pd.DataFrame([{"trial_id": trial["trial_id"], "step": 1} for trial in trials])
    height = [heights[trial["num_train"]] + level * (0.2 if trial["seed"] else -0.2) for trial in trials]
    curves = curves.assign(**{"train_error": 0.0, "train_loss": 0.0, "test_error": 0.3, metric: height})
    return with_complexity(Results(pd.DataFrame(trials), curves, SWEEP))


def test_the_number_of_examples_in_units_of_what_is_learnt():
    trials = learnt_up_to(27.0).trials
    np.testing.assert_allclose(trials["samples_per_emc"], trials["num_train"] / 27.0, rtol=1e-9)


def test_of_the_squared_loss_learnt_is_a_hundredth_of_the_loss_of_the_mean():
    columns = {"train.loss": "mse"}
    trials = learnt_up_to(33.0, "train_loss", 0.01 * (1 - 1 / 5) / 5, **columns).trials
    np.testing.assert_allclose(trials["samples_per_emc"], trials["num_train"] / 33.0, rtol=1e-9)


@pytest.mark.parametrize("emc", [2.0, 900.0])
def test_a_complexity_beyond_all_numbers_of_examples_is_not_known(emc):
    assert "samples_per_emc" not in learnt_up_to(emc).trials
