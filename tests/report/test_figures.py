"""What figures show of their frames: lines, labels and colours of each recipe."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ddlab.errors import ConfigError
from ddlab.report.charts import Band, Dots, HeatMap, Line, Note, Rule, Span
from ddlab.report.figures import make_recipe
from ddlab.store.results import Results
from tests.support import SWEEP


def chart_of(results, **options):
    recipe = make_recipe("f", options)
    return recipe.chart(recipe.frame(results))


def marks(panel, kind):
    return [mark for mark in panel.marks if isinstance(mark, kind)]


def legend(chart):
    return [mark.series.label for mark in chart.legend]


def test_double_descent_is_a_panel_of_errors_and_one_of_losses(results):
    chart = chart_of(results, recipe="double_descent")
    error, loss = chart.panels
    assert (error.y.label, error.y.percent, loss.y.label) == ("error", True, "cross-entropy (nats)")
    assert (loss.y.low, loss.y.scale) == (0.0, "linear")
    assert [line.y for line in marks(loss, Line)] == [(1.0, 3.0, 9.0, 5.0), (1.0,) * 4]
    assert [note.text for note in marks(loss, Note)] == ["9"]
    assert marks(loss, Rule)[-1].x["params_per_sample"] == 8
    assert legend(chart) == ["test", "train", "P = N K", "train error 0"]
    assert [axis.column for axis in chart.x] == ["params_per_sample", "num_params", "params_per_sample_output"]


def test_a_size_of_one_parameter_a_target_is_marked_where_the_axis_shows_it(results):
    results.trials["params_per_sample"] /= 4
    chart = chart_of(results, recipe="double_descent", x="model.width")
    of_unity, _ = marks(chart.panels[0], Rule)
    assert (of_unity.x, of_unity.series.label) == ({"params_per_sample": 1.0}, "P = N")


@pytest.mark.parametrize(("metric", "highest"), [("test_loss", 9.0), ("norm", None)])
def test_the_colours_of_a_heat_map_span_what_the_metric_is_at_the_end(results, metric, highest):
    early = results.curves["step"] == 1
    results.curves["test_loss"] = results.curves["test_loss"].where(~early, 100.0)
    results.curves["norm"] = 2.0
    chart = chart_of(results, recipe="heatmap", metric=metric)
    (cells,) = marks(chart.panels[0], HeatMap)
    assert cells.color.high == highest
    assert (cells.y, cells.x["step"], len(cells.z)) == ((2, 4, 8, 16), (1, 10, 100), 4)


@pytest.mark.parametrize(
    ("widest", "words"),
    [
        (5.0, "it peaks, 9, at width 8."),
        (12.0, "it is highest, 12, at width 16."),
    ],
)
def test_the_caption_of_a_heat_map_says_what_is_highest(results, widest, words):
    of_widest = results.curves["trial_id"].str.startswith("t3")
    results.curves.loc[of_widest, "test_loss"] = widest
    recipe = make_recipe("f", {"recipe": "heatmap", "metric": "test_loss"})
    assert recipe.caption(recipe.frame(results)).endswith(words)


def test_the_caption_of_a_heat_map_says_where_a_peak_is_not_the_highest_value(results):
    results.curves.loc[results.curves["trial_id"].str.startswith("t0"), "test_loss"] = 20.0
    recipe = make_recipe("f", {"recipe": "heatmap", "metric": "test_loss"})
    caption = recipe.caption(recipe.frame(results))
    assert caption.endswith("it is highest after its first minimum, 9, at width 8.")


def test_shares_are_in_percent_and_a_loss_alone_has_its_unit(results):
    results.curves["memorised"] = 0.5
    panels = [{"metrics": ["memorised"], "y_scale": "linear"}, {"metrics": ["test_loss"]}]
    chart = chart_of(results, recipe="curve", x="model.width", panels=panels)
    assert [panel.y.label for panel in chart.panels] == ["wrong labels memorised", "test cross-entropy (nats)"]
    assert [panel.y.percent for panel in chart.panels] == [True, False]


def test_one_group_has_the_colours_of_its_metrics_and_no_name_at_its_end(results):
    results.trials["data.label_noise"] = 0.2
    chart = chart_of(results, recipe="double_descent", x="model.width", group="data.label_noise")
    assert (chart.colors, legend(chart)[:2]) == ("", ["test", "train"])
    assert [note.text for note in marks(chart.panels[1], Note)] == ["9"]


def test_a_heat_map_names_the_line_along_which_the_training_set_is_learnt(results):
    chart = chart_of(results, recipe="heatmap", metric="test_loss")
    (line,), (note,) = marks(chart.panels[0], Line), marks(chart.panels[0], Note)
    never, _, first, second = line.x["step"]
    assert never is None
    assert 10 < first == second < 100
    assert (note.text, note.y) == ("train error 1 %", 16)
    assert not marks(chart_of(results, recipe="heatmap", where={"model.width": 2}).panels[0], Line)


def test_grokking_of_one_group_shades_the_steps_between_memorising_and_generalising(results):
    swapped = results.curves.rename(columns={"train_error": "test_error", "test_error": "train_error"})
    late = Results(results.trials, swapped, SWEEP)
    for width, words in ((8, "generalised at 100"), (2, "generalised not yet")):
        chart = chart_of(late, recipe="grokking", where={"model.width": width})
        assert legend(chart) == [f"memorised at step 10, {words}"]
        assert [(span.low["step"], span.high["step"]) for span in marks(chart.panels[0], Span)] == [(10, 100)]
        assert {note.text for note in marks(chart.panels[0], Note)} == {"test", "train"}
    assert not legend(chart_of(results, recipe="grokking", where={"model.width": 8}))  # generalised first


def test_grokking_of_groups_names_them_at_the_ends_of_their_curves_and_marks_no_steps(results):
    chart = chart_of(results, recipe="grokking", group="model.width")
    assert (chart.colors, legend(chart)) == ("width", ["test", "train"])
    assert [note.text for note in marks(chart.panels[1], Note)] == ["2", "4", "8", "16"]
    assert not marks(chart.panels[0], Span)


def test_grokking_of_groups_that_end_at_different_steps_names_them_in_the_legend(results):
    stopped = results.trials["model.width"] == 8
    results.trials.loc[stopped, ["status", "last_step"]] = ["stopped", 10]
    late = results.curves["trial_id"].isin(results.trials.loc[stopped, "trial_id"]) & (results.curves["step"] > 10)
    chart = chart_of(Results(results.trials, results.curves[~late], SWEEP), recipe="grokking", group="model.width")
    assert legend(chart) == ["test", "train", "2", "4", "8", "16"]
    assert not marks(chart.panels[1], Note)


@pytest.mark.parametrize(("value", "names"), [(8.0, ["8", "null"]), ("a", ["a", "null"]), (None, ["null"])])
def test_grokking_shows_a_group_of_the_trials_without_a_value(results, value, names):
    results.trials["model.hidden"] = [value] * 4 + [None] * 4
    results.trials["seed"] = range(8)
    for column in ("model.width", "num_params", "params_per_sample"):
        results.trials[column] = 2
    recipe = make_recipe("f", {"recipe": "grokking", "group": "model.hidden"})
    frame = recipe.frame(results)
    assert legend(recipe.chart(frame))[2:] == names
    assert "model.hidden null: train " in recipe.caption(frame)


def test_the_caption_of_one_seed_says_so(results):
    recipe = make_recipe("f", {"recipe": "grokking", "where": {"trial_id": "t20"}})
    assert recipe.caption(recipe.frame(results)).startswith("Median over 1 seed (trial id t20), band")


def test_steps_of_0_are_on_an_axis_that_is_linear_up_to_the_least_step(results):
    early = results.curves["trial_id"].isin(["t00", "t01"])
    results.curves.loc[early, ["train_error", "test_error"]] = 0.0
    (panel,) = chart_of(results, recipe="steps_to_grok", x="model.width").panels
    assert (panel.y.scale, panel.y.linear_below) == ("symlog", 10)
    assert [line.y[0] for line in marks(panel, Line)] == [0.0, 0.0]
    with pytest.raises(ConfigError, match=r"accuracy=0\.99: all trials are there at step 0"):
        chart_of(results, recipe="steps_to_grok", x="model.width", where={"model.width": 2})


def test_a_trial_that_never_got_there_is_a_triangle_at_its_last_step(results):
    chart = chart_of(results, recipe="steps_to_grok", x="model.width")
    beyond = [dots for dots in marks(chart.panels[0], Dots) if dots.hollow]
    assert {dots.series.label: dots.y for dots in beyond} == {"generalised": (), "memorised": (100.0,) * 4}
    medians = {line.series.label: line.y for line in marks(chart.panels[0], Line)}
    assert medians == {"generalised": (10.0,) * 4, "memorised": (None, None, 100.0, 100.0)}
    assert legend(chart)[-1] == "not within the steps trained"


def test_values_that_are_no_numbers_stand_in_the_order_of_the_steps_to_generalise(results):
    results.trials["data.operation"] = results.trials["model.width"].map({2: "b", 4: "c", 8: "a", 16: "d"})
    late = results.curves["trial_id"].str.startswith("t2") & (results.curves["step"] < 100)
    results.curves.loc[late, "test_error"] = 0.8  # of width 8
    chart = chart_of(results, recipe="steps_to_grok", x="data.operation")
    assert (chart.x[0].ticks, chart.x[0].names) == ((1, 2, 3, 4), ("b", "c", "d", "a"))
    assert not marks(chart.panels[0], Line)


def test_an_axis_with_0_is_linear_up_to_its_least_value(results):
    results.trials["optimizer.weight_decay"] = results.trials["model.width"].map({2: 0.0, 4: 0.01, 8: 0.1, 16: 1.0})
    (axis,) = chart_of(results, recipe="steps_to_grok", x="optimizer.weight_decay").x
    assert (axis.scale, axis.linear_below, axis.ticks) == ("symlog", 0.01, (0.0, 0.01, 0.1, 1.0))


def test_parts_of_the_risk_lie_on_top_of_each_other():
    recipe = make_recipe("f", {"recipe": "bias_variance", "x": "x", "threshold": 2})
    sizes = {"x": [1.0, 2.0], "data_seeds": 2, "feature_seeds": 3}
    parts = {
        "bias_squared": [4.0, 1.0],
        "variance_data": [1.0, -0.5],
        "variance_features": [2.0, 3.0],
        "variance_both": [0.5, 1.0],
    }
    frame = pd.DataFrame({**sizes, **parts, "risk": [7.5, 4.5], "ensemble_risk": [5.0, 2.0]})
    chart = recipe.chart(frame)
    bands = marks(chart.panels[1], Band)
    assert [(band.low, band.high) for band in bands[:2]] == [((0, 0), (4, 1)), ((4, 1), (5, 1))]
    assert bands[-1].high == (7.5, 5.0)
    assert "ensemble of 3" in legend(chart)
    with_noise = frame.assign(variance_noise=[1.0, 2.0])
    assert "variance over noise" in legend(recipe.chart(with_noise))
    assert "3.5 (1 of it over the noise of the targets" in recipe.caption(with_noise)


def test_progress_has_a_panel_for_each_kind_of_metric_and_names_its_curves(results):
    panels = [{"metrics": ["train_loss", "test_loss"], "label": "nats"}, {"metrics": ["test_error"], "y_scale": "linear"}]
    chart = chart_of(results, recipe="progress", panels=panels, where={"model.width": 8})
    losses, errors = chart.panels
    assert (losses.y.label, losses.y.scale, errors.y.label, errors.y.scale) == ("nats", "log", "test error", "linear")
    assert [note.text for note in marks(losses, Note)] == ["train loss", "test loss"]
    assert [line.y for line in marks(errors, Line)] == [(0.8, 0.8, 0.005, 0.005)]
    assert len({line.series.color for line in marks(losses, Line)}) == 2


def test_a_spectrum_is_that_of_the_first_seed(results):
    results.curves["shares"] = [
        [0.1 * step, 0.01, float(trial[-1])] for trial, step in results.curves[["trial_id", "step"]].to_numpy()
    ]
    recipe = make_recipe("f", {"recipe": "spectrum", "metric": "shares", "where": {"model.width": 8}})
    frame = recipe.frame(results)
    (cells,) = marks(recipe.chart(frame).panels[0], HeatMap)
    assert cells.x["step"] == (1, 10, 100)
    assert cells.y == (1, 2, 3)
    assert cells.z == ((0.1, 1, 10), (0.01,) * 3, (0.0,) * 3)
    assert recipe.caption(frame).endswith("At the end: 1 (1000 %).")
    for metric in ("test_loss", "trial_id"):
        with pytest.raises(ConfigError, match=f"metric={metric}: must be a vector"):
            chart_of(results, recipe="spectrum", metric=metric, where={"model.width": 8})


@pytest.mark.parametrize("value", [np.nan, [np.nan, np.nan]])
def test_a_spectrum_that_was_never_measured_is_refused(results, value):
    results.curves["shares"] = [value] * len(results.curves)
    with pytest.raises(ConfigError, match=r"metric=shares: was not measured \(all nan\)"):
        chart_of(results, recipe="spectrum", metric="shares", where={"model.width": 8})


NEVER_MEASURED = {
    "progress": ("norm", {"panels": [{"metrics": ["norm"]}]}),
    "heatmap": ("norm", {"metric": "norm"}),
    "steps_to_grok": ("test_error", {"x": "model.width"}),
}


@pytest.mark.parametrize("recipe", NEVER_MEASURED)
def test_a_metric_that_was_never_measured_is_refused(results, recipe):
    metric, options = NEVER_MEASURED[recipe]
    results.curves[metric] = np.nan
    with pytest.raises(ConfigError, match=rf"metric={metric}: was not measured \(all nan\)"):
        chart_of(results, recipe=recipe, **options, where={"model.width": 8})
