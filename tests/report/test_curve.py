"""Curves of metrics, with the theory's line: their frames, and what they show."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ddlab import theory
from ddlab.errors import ConfigError
from ddlab.report.charts import Band, Dots, Line, Note, Reference, Rule
from ddlab.report.charts.draw import draw, render
from ddlab.report.figures import make_recipe
from ddlab.report.figures.curve_chart import median_deviation
from ddlab.report.theories import predicted
from ddlab.store.results import Results
from tests.support import SWEEP

N, S2 = 20, 0.5
COMPONENTS = {
    "data._target_": "ddlab.data.Gaussian",
    "model._target_": "ddlab.models.Linear",
    "optimizer._target_": "ddlab.optimizers.Ridge",
}
ASSUMED = {
    **COMPONENTS,
    "data.eigenvalues": None,
    "data.coefficients": None,
    "data.test_cutoff": 0.0,
    "optimizer.cutoff": 0.0,
    "model.init_scale": 0.0,
}
WIDTHS = (5, 10, 40, 80)


@pytest.fixture
def results():
    """Risks of two seeds at four widths and two signals: the exact theory, times 0.9 and 1.2 (mean 1.05)."""
    trials, curves = [], []
    for signal in (1.0, 4.0):
        for p in WIDTHS:
            for seed, factor in enumerate((0.9, 1.2)):
                trial = f"{signal}-{p}-{seed}"
                sizes = {"num_train": N, "num_params": p, "num_outputs": 1, "params_per_sample": p / N, "model.width": p}
                data = {"data.num_features": 80, "data.num_relevant": p, "data.signal": signal, "data.noise_variance": S2}
                more = {"status": "completed", "last_step": 1, "seed": seed, "optimizer.weight_decay": 0.0, **ASSUMED}
                more["train.loss"] = "mse"
                trials.append({"trial_id": trial, **sizes, **data, **more})
                risk = factor * float(theory.ridgeless_exact(p, N, signal, S2))
                curves += [{"trial_id": trial, "step": step, "excess_risk": risk, "test_loss": risk + S2} for step in (0, 1)]
    return Results(pd.DataFrame(trials), pd.DataFrame(curves), SWEEP)


def marks(panel, kind):
    return [mark for mark in panel.marks if isinstance(mark, kind)]


def legend(chart):
    return [mark.series.label for mark in chart.legend]


def recipe(**options):
    return make_recipe("f", {"recipe": "curve", "metric": "excess_risk", "x": "model.width", **options})


def test_the_frame_holds_simulation_and_theory_of_each_group(results):
    frame = recipe(group="data.signal", theory="ridgeless").frame(results)
    simulation = frame[(frame["kind"] == "simulation") & (frame["curve"] == "4")]
    exact = theory.ridgeless_exact(np.array(WIDTHS), N, 4.0, S2)
    np.testing.assert_allclose(simulation["theory"], exact)
    np.testing.assert_allclose(simulation["mean"], 1.05 * exact)
    np.testing.assert_allclose(simulation["sem"], 0.15 * exact)
    assert simulation["seeds"].tolist() == [2] * 4
    line = frame[(frame["kind"] == "theory") & (frame["curve"] == "4")]
    assert line["model.width"].min() == 5
    assert line["model.width"].max() == 80
    np.testing.assert_allclose(line["mean"], theory.ridgeless_exact(line["model.width"], N, 4.0, S2))
    assert np.isinf(line["mean"]).any()  # at the threshold
    assert median_deviation(frame) == pytest.approx(0.05)
    assert "median relative deviation of the means 5.00 %" in recipe(group="data.signal", theory="ridgeless").caption(frame)


def test_where_the_theory_is_zero_nothing_is_compared(results):
    """Without noise least squares on more examples than features is exact: no relative deviation, and no warning."""
    results.trials["data.noise_variance"] = 0.0
    results.trials["data.num_relevant"] = None
    exact = theory.ridgeless_exact(results.trials["model.width"].to_numpy(), N, 1.0, 0.0)
    risk = dict(zip(results.trials["trial_id"], exact, strict=True))
    results.curves["excess_risk"] = results.curves["trial_id"].map(risk)
    results.trials["data.num_features"] = results.trials["model.width"]
    made = recipe(theory="ridgeless", where={"data.signal": 1.0}, y_scale="linear")
    frame = made.frame(results)
    assert median_deviation(frame) == 0
    assert "theory (median deviation 0.0 %)" in legend(made.chart(frame))
    below = frame[frame["model.width"] < N]
    assert np.isnan(median_deviation(below))
    assert "nan" not in made.caption(below)
    assert "theory" in legend(made.chart(below))


def test_a_metric_without_a_finite_value_is_not_drawn_and_others_are(results):
    results.curves["smallest"] = np.inf
    with pytest.raises(ConfigError, match="metric=smallest: has no finite mean above 0"):
        recipe(metric="smallest", where={"data.signal": 1.0}).frame(results)
    results.curves.loc[results.curves["trial_id"].isin(["1.0-5-0", "1.0-5-1"]), "smallest"] = 1.0
    made = recipe(metric="smallest", where={"data.signal": 1.0})
    (panel,) = made.chart(made.frame(results)).panels
    assert 0.5 < panel.y.low < 1 < panel.y.high < 2


@pytest.mark.parametrize("group", ["data.signal", None])
def test_a_curve_without_a_value_in_one_panel_is_named_and_the_rest_is_drawn(results, group):
    """As the share of wrong labels that are memorised, where there are none."""
    weak = results.trials.loc[results.trials["data.signal"] == 1.0, "trial_id"]
    results.curves["memorised"] = results.curves["excess_risk"].mask(results.curves["trial_id"].isin(weak))
    panels = [{"metrics": ["excess_risk"]}, {"metrics": ["memorised"]}]
    curves = [{"label": "weak", "where": {"data.signal": 1.0}}, {"label": "strong", "where": {"data.signal": 4.0}}]
    chosen = {"group": group} if group else {"curves": curves}
    made = recipe(panels=panels, **chosen)
    frame = made.frame(results)
    chart = made.chart(frame)
    drawn = [sum(any(y is not None for y in line.y) for line in marks(panel, Line)) for panel in chart.panels]
    assert drawn == [2, 1]
    named = "signal 1" if group else "weak"
    assert made.caption(frame).endswith(f"Not shown: wrong labels memorised at {named} (no value above 0).")
    assert render(chart)["png"]
    turned = recipe(panels=panels[::-1], **chosen)
    assert not marks(turned.chart(turned.frame(results)).panels[0], Note)


def test_a_level_is_a_horizontal_line_on_the_axis_of_its_panel(results):
    panels = [{"metrics": ["excess_risk"], "levels": {"guess": 100.0}}, {"metrics": ["test_loss"]}]
    made = recipe(where={"data.signal": 1.0}, panels=panels)
    frame = made.frame(results)
    chart = made.chart(frame)
    first, other = chart.panels
    assert [(level.y, level.series.label) for level in marks(first, Reference)] == [(100.0, "guess")]
    assert (first.y.high > 100, other.y.high > 100, marks(other, Reference)) == (True, False, [])
    assert "guess" in legend(chart)
    assert "Horizontal: guess, 100." in made.caption(frame)
    assert [100.0, 100.0] in [list(line.get_ydata()) for line in draw(chart).axes[0].lines]


def test_curves_are_named_at_their_ends_where_these_lie_together(results):
    made = recipe(group="data.signal")
    assert [note.text for note in marks(made.chart(made.frame(results)).panels[0], Note)] == ["1", "4"]
    cut = (results.trials["data.signal"] == 4.0) & (results.trials["model.width"] == 80)
    chart = made.chart(made.frame(Results(results.trials[~cut], results.curves, SWEEP)))
    assert (marks(chart.panels[0], Note), legend(chart)[:2]) == ([], ["1", "4"])


def test_curves_are_named_in_the_legend_where_their_ends_crowd(results):
    parts = [results.trials[results.trials["data.signal"] == 1.0].assign(**{"data.signal": float(k)}) for k in range(6)]
    made = recipe(group="data.signal")
    chart = made.chart(made.frame(Results(pd.concat(parts), results.curves, SWEEP)))
    assert (marks(chart.panels[0], Note), legend(chart)[:6]) == ([], ["0", "1", "2", "3", "4", "5"])


def test_of_a_heavy_tail_the_median_is_drawn(results):
    wild = results.trials["trial_id"].str.endswith("-1")
    copies = [results.trials, results.trials[wild].assign(seed=2, trial_id=results.trials["trial_id"] + "/2")]
    curves = [results.curves, results.curves.assign(trial_id=results.curves["trial_id"] + "/2", excess_risk=1e6)]
    many = Results(pd.concat(copies), pd.concat(curves), SWEEP)
    made = recipe(middle="median", where={"data.signal": 1.0})
    frame = made.frame(many)
    assert (frame["mean"] > 1e5).all()
    (line,) = marks(made.chart(frame).panels[0], Line)
    np.testing.assert_allclose(line.y, 1.2 * np.array([theory.ridgeless_exact(p, N, 1.0, S2) for p in WIDTHS]))
    assert "median of 3 seeds; band" in made.caption(frame)
    several = recipe(middle="median", group="data.signal")
    assert "Highest median: " in several.caption(several.frame(many))


def test_more_curves_than_can_be_told_apart_are_refused():
    with pytest.raises(ConfigError, match="at most 8 can be told apart"):
        recipe(curves=[{"label": str(k)} for k in range(9)])


@pytest.mark.parametrize(("option", "value"), [("y_min", float("inf")), ("y_min", -1), ("threshold", 0), ("threshold", "abc")])
def test_a_limit_that_no_axis_can_have_is_refused(option, value):
    with pytest.raises(ConfigError, match=rf"figures\.f\.{option}={value}: must be "):
        recipe(**{option: value})


def test_the_best_of_a_column_is_taken_in_every_group(results):
    results.trials["data.num_relevant"] = np.where(results.trials["data.signal"] == 1.0, 5.0, np.nan)
    frame = recipe(group="data.num_relevant", best_over="data.signal").frame(results)
    assert set(frame["curve"]) == {"5", "null"}
    with pytest.raises(ConfigError, match="best_over=seed: must be another column"):
        recipe(best_over="seed").frame(results)


def test_curves_have_their_own_selection_and_theory(results):
    curves = [
        {"label": "weak", "where": {"data.signal": 1.0}, "theory": "ridgeless"},
        {"label": "strong", "where": {"data.signal": 4.0}},
    ]
    frame = recipe(curves=curves).frame(results)
    assert list(dict.fromkeys(frame["curve"])) == ["weak", "strong"]
    assert set(frame.loc[frame["kind"] == "theory", "curve"]) == {"weak"}
    strong = frame[frame["curve"] == "strong"]
    np.testing.assert_allclose(strong["mean"], 1.05 * theory.ridgeless_exact(np.array(WIDTHS), N, 4.0, S2))


def test_what_is_charted_is_the_frame(results):
    made = recipe(title="T", group="data.signal", theory="ridgeless")
    frame = made.frame(results)
    chart = made.chart(frame)
    (panel,) = chart.panels
    simulation = frame[frame["kind"] == "simulation"]
    for dots, (_, rows) in zip(marks(panel, Dots), simulation.groupby("group"), strict=True):
        assert dots.series.value == rows["group"].iloc[0]
        assert dots.x["model.width"] == tuple(rows["model.width"])
        assert dots.y == tuple(rows["mean"])
    assert [note.text for note in marks(panel, Note)] == ["1", "4"]
    assert [note.y for note in marks(panel, Note)] == [rows["mean"].iloc[-1] for _, rows in simulation.groupby("group")]
    assert panel.y.low < simulation["low"].min()
    assert simulation["high"].max() < panel.y.high < 2 * simulation["high"].max()
    assert (chart.title, chart.colors, legend(chart)) == (
        "T",
        "signal",
        ["mean of seeds", "theory (median deviation 5.0 %)", "P = N"],
    )


def test_a_theory_has_a_gap_where_it_is_infinite(results):
    made = recipe(theory="ridgeless", where={"data.signal": 1.0})
    (line,) = marks(made.chart(made.frame(results)).panels[0], Line)
    at_threshold = [y for x, y in zip(line.x["model.width"], line.y, strict=True) if abs(x - N) < 1]
    assert at_threshold
    assert set(at_threshold) == {None}


def test_a_theory_lies_at_the_right_place_on_an_axis_that_is_switched_to(results):
    """P/N at a fixed width is width/N, which is no linear function of N between two of its values."""
    results.trials["num_train"] = results.trials["model.width"]
    for column in ("model.width", "num_params", "data.num_relevant"):
        results.trials[column] = 5
    results.trials["params_per_sample"] = 5 / results.trials["num_train"]
    made = recipe(x="num_train", theory="ridgeless", where={"data.signal": 1.0})
    line = marks(made.chart(made.frame(results)).panels[0], Line)[0]
    np.testing.assert_allclose(np.array(line.x["params_per_sample"]) * np.array(line.x["num_train"]), 5.0)


def test_a_known_threshold_takes_the_place_of_what_is_measured(results):
    made = recipe(where={"data.signal": 1.0}, threshold=20)
    (rule,) = marks(made.chart(made.frame(results)).panels[0], Rule)
    assert rule.x == {"model.width": 20}


def test_an_axis_may_be_switched_to_what_else_is_a_size(results):
    """P is the width, and N is 20: P/N rises with it, P says nothing new, and N does not vary."""
    made = recipe(group="data.signal")
    frame = made.frame(results)
    chart = made.chart(frame)
    assert [axis.column for axis in chart.x] == ["model.width", "params_per_sample"]
    band = marks(chart.panels[0], Band)[0]
    assert band.x == {"model.width": (5.0, 10.0, 40.0, 80.0), "params_per_sample": (0.25, 0.5, 2.0, 4.0)}
    (rule,) = marks(chart.panels[0], Rule)
    assert (rule.x, rule.series.label) == ({"params_per_sample": 1.0}, "P = N")


def test_a_group_has_a_value_and_a_name(results):
    frame = recipe(group="data.signal").frame(results)
    assert frame.groupby("curve")["group"].unique().to_dict() == {"1": [1.0], "4": [4.0]}


def test_panels_have_metrics_and_scales_of_their_own(results):
    panels = [{"metrics": ["excess_risk", "test_loss"]}, {"metrics": ["test_loss"], "y_scale": "linear", "y_min": 0.1}]
    made = recipe(where={"data.signal": 1.0}, panels=panels)
    frame = made.frame(results)
    both, alone = made.chart(frame).panels
    assert (both.y.scale, alone.y.scale, alone.y.low) == ("log", "linear", 0.1)
    assert [line.y for line in marks(both, Line)] == [
        tuple(frame.loc[frame["metric"] == name, "mean"]) for name in panels[0]["metrics"]
    ]
    assert [line.series.label for line in marks(both, Line)] == ["excess risk", "test loss"]


def test_a_band_is_the_range_of_few_seeds_and_the_middle_of_many(results):
    few = recipe(where={"data.signal": 1.0}).frame(results)
    np.testing.assert_allclose(few["high"] / few["low"], 1.2 / 0.9)
    copies = [(results.trials.assign(seed=results.trials["seed"] + 2 * k), k) for k in range(3)]
    trials = pd.concat([trials.assign(trial_id=trials["trial_id"] + f"/{k}") for trials, k in copies])
    curves = pd.concat([results.curves.assign(trial_id=results.curves["trial_id"] + f"/{k}") for k in range(3)])
    curves.loc[curves["trial_id"].str.endswith("0/0"), "excess_risk"] = 0.0
    many = recipe(where={"data.signal": 1.0}).frame(Results(trials, curves, SWEEP))
    assert set(many["seeds"]) == {6}
    assert (many["low"] > 0).all()


def test_along_time_every_eval_point_but_the_first_counts(results):
    results.trials["optimizer.learning_rate"] = 0.5
    chosen = {"data.signal": 1.0, "model.width": 5}
    frame = recipe(x="time", where=chosen).frame(results)
    assert frame["time"].tolist() == [0.5]


MISTAKES = {
    "theory": ({"theory": "rigdeless"}, "did you mean 'ridgeless'"),
    "metric": ({"theory": "ridge", "metric": "train_loss"}, "not train_loss"),
    "scale": ({"x_scale": "logg"}, "x_scale=logg: must be one of linear, log"),
    "group and curves": ({"group": "data.signal", "curves": [{"label": "a"}]}, "one of the two"),
    "label": ({"curves": [{"where": {}}]}, "there is no label"),
    "option": ({"curves": [{"label": "a", "thoery": "ridge"}]}, "did you mean 'theory'"),
    "theory of a curve": ({"curves": [{"label": "a", "theory": "rige"}]}, "did you mean 'ridge'"),
    "no metrics": ({"panels": [{"metrics": []}]}, "panels.metrics=\\[\\]: must be one column or more"),
    "metrics of numbers": ({"panels": [{"metrics": [1]}]}, "panels.metrics=\\[1\\]: must be one column or more"),
    "a panel that is none": ({"panels": ["test_loss"]}, "panels=test_loss: must be a list of mappings"),
    "a level": ({"panels": [{"metrics": ["a"], "levels": {"guess": 0}}]}, "levels.guess=0: must be a name, and a number above 0"),
    "a level of text": ({"levels": {"guess": "a"}}, "levels.guess=a: must be a name, and a number"),
    "scale of a panel": ({"panels": [{"metrics": ["a"], "y_scale": "lin"}]}, "panels.y_scale=lin: must be one of linear, log"),
    "selection of a curve": ({"curves": [{"label": "a", "where": {3: 4}}]}, "curves.where.3: must be the name of a column"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_that_names_it(mistake):
    options, words = MISTAKES[mistake]
    with pytest.raises(ConfigError, match=words) as caught:
        recipe(**options)
    assert str(caught.value).startswith("figures.f.")


def test_a_theory_that_lacks_a_column_says_which(results):
    bare = Results(results.trials.drop(columns="data.signal"), results.curves, SWEEP)
    with pytest.raises(ConfigError, match=r"theory=ridgeless: the trials have no data\.signal"):
        recipe(theory="ridgeless", where={"seed": 0}).frame(bare)


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [
        ("ridgeless", "data.eigenvalues", (1.0, 2.0)),
        ("ridgeless", "optimizer.weight_decay", 0.1),
        ("ridge", "model.init_scale", 1.0),
        ("ridge", "data.test_cutoff", 0.2),
        ("misspecified", "data.num_relevant", 5),
        ("ridge", "optimizer._target_", "ddlab.optimizers.GradientFlow"),
        ("ridgeless", "model._target_", "ddlab.models.RandomFeatures"),
    ],
)
def test_a_theory_is_not_drawn_where_its_assumptions_do_not_hold(results, name, column, value):
    rows = results.trials.assign(**{"data.num_relevant": None})
    predicted(name, "excess_risk", rows)
    with pytest.raises(ConfigError, match=f"theory={name}: assumes {column}="):
        predicted(name, "excess_risk", rows.assign(**{column: [value] * len(rows)}))


def test_theories_agree_with_each_other_where_they_say_the_same():
    """Random-direction beta on all D features: least squares on p of them is both `ridgeless` and `misspecified`."""
    rows = pd.DataFrame(
        {"model.width": [5, 15, 30, 60, 95], "num_train": 40, "data.num_features": 100, "data.num_relevant": None}
    )
    rows = rows.assign(**{"data.signal": 1.3, "data.noise_variance": 0.2, "optimizer.weight_decay": 0.0, **ASSUMED})
    np.testing.assert_allclose(
        predicted("ridgeless", "test_loss", rows), predicted("misspecified", "test_loss", rows), rtol=1e-12
    )
    large = rows.assign(**{"model.width": rows["model.width"] * 1000, "num_train": 40000, "data.num_features": 100000})
    np.testing.assert_allclose(predicted("ridge", "test_loss", large), predicted("ridgeless", "test_loss", large), rtol=2e-3)
    small = large.assign(**{"optimizer.weight_decay": 1e-9})
    np.testing.assert_allclose(predicted("ridge", "test_loss", small), predicted("ridge", "test_loss", large), rtol=1e-3)
    best = predicted("optimal_ridge", "test_loss", rows)
    for penalty in (0.01, 0.3, 1.0, 5.0):
        assert (predicted("ridge", "test_loss", rows.assign(**{"optimizer.weight_decay": penalty})) >= best - 1e-12).all()
