"""Frames of figures, from metrics that are written down."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ddlab.errors import ConfigError
from ddlab.report.claims import make_claim
from ddlab.report.columns import number, place
from ddlab.report.figures import RECIPES, make_recipe
from ddlab.report.figures.peaks import clear_peak, interpolation_threshold, is_highest
from ddlab.report.frames import curves_over_seeds
from ddlab.report.metric_rows import metric_rows
from ddlab.report.specs import figure_specs, read_overrides
from ddlab.store.results import Results
from tests.support import SWEEP


def test_the_double_descent_frame_is_mean_and_deviation_over_seeds(results):
    frame = make_recipe("f", {"recipe": "double_descent", "x": "params_per_sample_output"}).frame(results)
    loss = frame[frame["metric"] == "test_loss"]
    assert loss["params_per_sample_output"].tolist() == [0.2, 0.4, 0.8, 1.6]
    assert loss["mean"].tolist() == [1, 3, 9, 5]
    np.testing.assert_allclose(loss["sd"], np.sqrt(0.5))
    train = frame[frame["metric"] == "train_error"]
    assert train.loc[interpolation_threshold(train), "params_per_sample_output"] == 0.8
    assert loss.loc[clear_peak(loss), "params_per_sample_output"] == 0.8


@pytest.mark.parametrize(
    ("means", "peak"),
    [([10, 4, 3, 6, 2], 3), ([1, 5, 0.1, 4.5, 1], 1), ([3, 2, 1], None), ([1, 2, 3], None), ([5, 1, 2], None), ([2.0], None)],
)
def test_a_peak_is_the_highest_point_that_the_curve_rises_to_and_falls_from(means, peak):
    assert clear_peak(pd.DataFrame({"middle": [float(mean) for mean in means], "sd": 0.0})) == peak


def test_a_bump_within_the_spread_of_the_seeds_is_no_peak():
    rows = pd.DataFrame({"middle": [0.70, 0.60, 0.62, 0.55], "sd": 0.015})
    assert clear_peak(rows) is None
    assert clear_peak(rows.assign(sd=0.005)) == 2


def test_a_peak_is_marked_where_nothing_later_is_higher():
    rows = pd.DataFrame({"middle": [9.0, 1.0, 5.0, 2.0]})
    assert is_highest(rows, 2)
    assert not is_highest(pd.DataFrame({"middle": [9.0, 1.0, 5.0, 6.0]}), 2)


@pytest.mark.parametrize(
    ("errors", "threshold"),
    [([0.4, 0.1, 0, 0], 2), ([0, 0, 0.1, 0.4], 1), ([0, 0, 0], 0), ([0, 0.1, 0], 0), ([0.2, 0.1], None), ([0, 0.1, 0, 0.1], 0)],
)
def test_the_threshold_lies_where_a_curve_begins_to_interpolate_or_ends_to(errors, threshold):
    assert interpolation_threshold(pd.DataFrame({"median": errors})) == threshold


def test_no_threshold_is_claimed_where_train_error_never_is_zero(results):
    frame = make_recipe("f", {"recipe": "double_descent", "where": {"model.width": 2}}).frame(results)
    assert interpolation_threshold(frame[frame["metric"] == "train_error"]) is None
    assert "train error never is zero" in make_recipe("f", {"recipe": "double_descent"}).caption(frame)


@pytest.mark.parametrize(
    ("errors", "words"),
    [
        ([0.5, 0.2, 0.0, 0.0], "train error is zero from 8 on"),
        ([0.5, 0.0, 0.0, 0.1], "train error reaches zero at 4"),
        ([0.0, 0.0, 0.1, 0.2], "train error is zero up to 4"),
    ],
)
def test_the_caption_says_from_where_on_train_error_is_zero_only_where_it_stays(results, errors, words):
    width = results.curves["trial_id"].str[1].astype(int)
    results.curves["train_error"] = width.map(dict(enumerate(errors)))
    recipe = make_recipe("f", {"recipe": "double_descent"})
    assert recipe.caption(recipe.frame(results)).endswith(f"{words}.")


def test_whole_numbers_are_in_full_and_others_have_three_digits():
    assert [place(value) for value in (3032.0, 16.0, 0.76666, 12345.6)] == ["3,032", "16", "0.767", "12,300"]
    assert [number("test_loss", value) for value in (5139.6, 0.18765, 2e-9, 4.2e7)] == ["5,140", "0.188", "2e-09", "4.2e+07"]


@pytest.fixture
def measured_rarely(results):
    """The same, `norm` measured at steps 0, 10 and 100 only; two trials of width 4 stopped at step 10."""
    stopped = results.trials["model.width"] == 4
    trials = results.trials.assign(status=np.where(stopped, "stopped", "completed"), last_step=np.where(stopped, 10, 100))
    curves = results.curves.assign(norm=results.curves["step"].map({0: 1.0, 1: np.nan, 10: 2.0, 100: 3.0}))
    return Results(trials, curves[(curves["step"] < 100) | ~curves["trial_id"].isin(set(trials.loc[stopped, "trial_id"]))], SWEEP)


def test_lines_are_drawn_through_measured_points_only(measured_rarely):
    curves = curves_over_seeds(measured_rarely, measured_rarely.trials, "model.width", ["norm"])
    assert curves[curves["group"] == 2][["step", "median"]].to_numpy().tolist() == [[0, 1], [10, 2], [100, 3]]
    assert curves[curves["group"] == 4][["step", "median"]].to_numpy().tolist() == [[0, 1], [10, 2]]
    rows = metric_rows(measured_rarely, {"model.width": 2}, "norm", ["step"])
    assert sorted(rows["step"]) == [10, 10, 100, 100]
    frame = make_recipe("f", {"recipe": "heatmap", "metric": "norm"}).frame(measured_rarely)
    assert set(frame["step"]) == {10, 100}
    assert not frame["norm"].isna().any()


def test_of_trials_that_are_not_trained_there_is_no_curve(results):
    untrained = Results(results.trials.assign(last_step=0), results.curves[results.curves["step"] == 0], SWEEP)
    with pytest.raises(ConfigError, match=r"train\.steps=0: the trials are measured at step 0 alone"):
        curves_over_seeds(untrained, untrained.trials, None, ["test_error"])


def test_a_trial_that_stopped_where_a_metric_was_not_measured_has_no_final_value(measured_rarely):
    rare = measured_rarely.curves.assign(norm=measured_rarely.curves["norm"].where(measured_rarely.curves["step"] != 10))
    results = Results(measured_rarely.trials, rare, SWEEP)
    said = r"metric=norm: was not measured where 2 trials stopped early"
    with pytest.raises(ConfigError, match=said):
        make_recipe("f", {"recipe": "risk_curve", "metric": "norm", "x": "model.width"}).frame(results)
    with pytest.raises(ConfigError, match=said):
        make_recipe("f", {"recipe": "heatmap", "metric": "norm"}).frame(results)
    claim = {"kind": "value", "metric": "norm", "between": [0, 9], "source": "nobody", "where": {"model.width": 4}}
    verdict = make_claim("c", claim).verdict("c", results)
    assert verdict.status == "not enough data"
    assert "was not measured where 2 trials stopped early" in verdict.reason


def test_the_grokking_frame_marks_memorisation_and_generalisation(results):
    frame = make_recipe("f", {"recipe": "grokking", "group": "model.width"}).frame(results)
    learnt = frame[frame["metric"].isin(["memorised", "generalised"])].set_index("metric")
    assert learnt.loc["generalised", ["step", "censored"]].to_numpy().tolist() == [[10, False]] * 4
    assert learnt.loc["memorised", ["step", "censored"]].to_numpy().tolist() == [[100, True]] * 2 + [[100, False]] * 2
    assert np.isfinite(frame["step"]).all()


def test_the_delay_frame_has_a_row_for_each_trial_that_never_got_there(results):
    frame = make_recipe("f", {"recipe": "steps_to_grok", "x": "model.width"}).frame(results)
    memorised = frame[frame["split"] == "train"]
    assert memorised["step"].tolist() == [100] * 8
    assert memorised["censored"].tolist() == [True] * 4 + [False] * 4


def test_the_heat_map_frame_is_the_mean_over_seeds(results):
    frame = make_recipe("f", {"recipe": "heatmap", "metric": "test_loss"}).frame(results)
    assert sorted(frame["step"].unique()) == [1, 10, 100]
    assert frame.groupby("model.width")["test_loss"].mean().tolist() == [1, 3, 9, 5]


def test_a_trial_that_stopped_early_keeps_its_last_value_and_an_unfinished_one_does_not(results):
    cut = results.curves["step"] < 100
    for status, expected in (("stopped", 1.0), ("pending", 1.5)):
        results.trials.loc[results.trials["trial_id"] == "t00", ["status", "last_step"]] = [status, 10]
        shorter = Results(results.trials, results.curves[cut | (results.curves["trial_id"] != "t00")], SWEEP)
        frame = make_recipe("f", {"recipe": "heatmap", "metric": "test_loss"}).frame(shorter)
        assert frame.query("`model.width` == 2 and step == 100")["test_loss"].tolist() == [expected]


def test_a_heat_map_ends_for_a_size_where_its_last_trial_has_stopped(results):
    of_size = results.trials["model.width"] == 2
    cut = (results.curves["step"] < 100) | ~results.curves["trial_id"].isin(results.trials.loc[of_size, "trial_id"])
    results.trials.loc[of_size, ["status", "last_step"]] = ["stopped", 10]
    shorter = Results(results.trials, results.curves[cut], SWEEP)
    frame = make_recipe("f", {"recipe": "heatmap", "metric": "test_loss"}).frame(shorter)
    assert frame.groupby("model.width")["step"].max().tolist() == [10, 100, 100, 100]


def test_a_final_metric_is_never_an_earlier_one(results):
    damaged = results.curves[(results.curves["trial_id"] != "t00") | (results.curves["step"] < 100)]
    frame = make_recipe("f", {"recipe": "double_descent"}).frame(Results(results.trials, damaged, SWEEP))
    assert frame.query("params_per_sample == 2")["seeds"].tolist() == [1] * 4


def test_trials_that_differ_in_more_than_seeds_are_not_averaged(results):
    results.trials["optimizer.weight_decay"] = [0.0, 0.1] * 4
    one = {"where": {"model.width": 2}}
    apart = {"grokking": {"group": "model.width"}, "progress": {"panels": [{"metrics": ["test_loss"]}], **one}, "spectrum": one}
    for recipe in set(RECIPES) - {"claims"}:  # which have selections of their own
        options = {"x": "model.width"} if "x" in RECIPES[recipe].__dataclass_fields__ else apart.get(recipe, {})
        with pytest.raises(ConfigError, match=r"where\.optimizer\.weight_decay=VALUE \(0, 0\.1\)"):
            make_recipe("f", {"recipe": recipe, **options}).frame(results)


def test_a_value_that_is_missing_is_advised_selected_and_named_as_null(results):
    results.trials["model.hidden"] = [np.nan, 8.0] * 4
    options = {"recipe": "spectrum", "metric": "shares"}
    results.curves["shares"] = [[1.0, 2.0]] * len(results.curves)
    with pytest.raises(ConfigError, match=r"where\.model\.hidden=VALUE \(8, null\)"):
        make_recipe("f", {**options, "where": {"model.width": 2}}).frame(results)
    with pytest.raises(ConfigError, match=r"no trial is planned with model\.width=null \(they have 2, 4, 8, 16\)"):
        make_recipe("f", {**options, "where": {"model.width": None}}).frame(results)
    words = [f"+figures.f.where.{word}" for word in ("model.hidden=null", "model.width=2")]
    recipe = make_recipe("f", figure_specs({"f": options}, read_overrides(words))["f"])
    frame = recipe.frame(results)
    assert set(frame["seed"]) == {0}
    assert "(model.hidden null, width 2)" in recipe.caption(frame)


def test_true_is_no_number(results):
    with pytest.raises(ConfigError, match=r"where\.seed=True: the column holds numbers"):
        make_recipe("f", {"recipe": "heatmap", "where": {"seed": True}}).frame(results)
    results.trials["data.shuffle"] = [True, False] * 4
    frame = make_recipe("f", {"recipe": "double_descent", "where": {"data.shuffle": True}}).frame(results)
    assert set(frame["seeds"]) == {1}


def test_diverged_trials_are_not_averaged_in(results):
    results.trials.loc[results.trials["trial_id"] == "t00", "status"] = "diverged"
    frame = make_recipe("f", {"recipe": "double_descent"}).frame(results)
    assert frame[frame["params_per_sample"] == 2]["seeds"].tolist() == [1] * 4


def test_a_curve_of_trials_that_stopped_where_a_metric_was_least(results):
    """The test error is least from step 10 on, where the train error still is 0.9."""
    curves = [{"label": "last step"}, {"label": "early", "stop_by": "test_error"}]
    recipe = make_recipe(
        "f", {"recipe": "curve", "metric": "train_error", "x": "model.width", "y_scale": "linear", "curves": curves}
    )
    frame = recipe.frame(results)
    means = {name: rows["mean"].tolist() for name, rows in frame.groupby("curve")}
    assert means == {"last step": [0.5, 0.2, 0.0, 0.0], "early": [0.9] * 4}
    assert "early: each trial at the least test error, chosen on the test set." in recipe.caption(frame)
    whole = make_recipe("f", {"recipe": "double_descent", "x": "model.width", "stop_by": "test_error"})
    assert "Each trial at the least test error, chosen on the test set." in whole.caption(whole.frame(results))


def test_a_curve_needs_the_metric_that_stops(results):
    recipe = make_recipe("f", {"recipe": "double_descent", "stop_by": "validation_error"})
    with pytest.raises(ConfigError, match=r"^stop_by=validation_error: no such column"):
        recipe.frame(results)
