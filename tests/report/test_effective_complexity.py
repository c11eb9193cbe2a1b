"""The figure of the effective model complexity: its numbers, what is drawn of them, and what lies beyond the n that were run."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from ddlab.errors import ConfigError
from ddlab.report.charts import Bars, Dots, Line, Note
from ddlab.report.figures import make_recipe
from ddlab.store.results import Results
from tests.support import SWEEP

N = (10, 20, 40, 80)


def results_of(complexities, num_seeds=5):
    """Return stored results: the train error is log(n / EMC) / 4 + 0.1, at least 0; that of seed s is 0.01 (s - 2) above it."""
    trials, curves = [], []
    for width, complexity in complexities.items():
        for n in N:
            for seed in range(num_seeds):
                trial = f"{width}-{n}-{seed}"
                sizes = {"model.width": width, "num_params": 10 * width, "num_train": n, "data.num_train": n, "num_outputs": 2}
                about = {"seed": seed, "status": "completed", "last_step": 9, "params_per_sample": 10 * width / n}
                trials.append({"trial_id": trial, **about, **sizes})
                error = math.log(n / complexity) / 4 + 0.1 + 0.01 * (seed - 2)
                curves += [
                    {"trial_id": trial, "step": 0, "train_error": 0.5},
                    {"trial_id": trial, "step": 9, "train_error": error},
                ]
    return Results(pd.DataFrame(trials), pd.DataFrame(curves), SWEEP)


def figure_of(results, **options):
    recipe = make_recipe("f", {"recipe": "effective_model_complexity", **options})
    frame = recipe.frame(results)
    return frame, recipe.chart(frame), recipe.caption(frame)


def marks(panel, kind):
    return [mark for mark in panel.marks if isinstance(mark, kind)]


def test_the_complexity_of_each_width_is_where_its_mean_error_crosses_the_level():
    frame, chart, caption = figure_of(results_of({2: 15.0, 4: 30.0}))
    known = frame.drop_duplicates("model.width")
    assert list(known["emc"]) == pytest.approx([15, 30])
    assert (known["emc_low"] < known["emc"]).all()
    assert (known["emc"] < known["emc_high"]).all()
    assert set(known["emc_high"].round(3) < 1.1 * known["emc"]) == {True}
    assert list(frame["seeds"]) == [5] * 8
    np.testing.assert_allclose(frame["fit"], frame["mean"], rtol=1e-12)
    top, below = chart.panels
    (line,) = [line for line in marks(top, Line) if line.marker]
    assert line.y == pytest.approx((15, 30))
    (bars,) = marks(top, Bars)
    assert bars.low == tuple(known["emc_low"])
    assert "It is 0.75 times the number of parameters." in caption
    assert "It is 0.5 to 0.75 times the number of parameters." in figure_of(results_of({2: 15.0, 4: 20.0}))[2]
    assert [note.text for note in marks(below, Note)] == ["2", "4"]
    assert (below.x.column, chart.x[0].column) == ("num_train", "model.width")


def test_another_level_and_a_share_of_the_first_value():
    results = results_of({2: 15.0, 4: 30.0})
    higher = figure_of(results, at_most=0.2)[0].drop_duplicates("model.width")
    assert list(higher["emc"]) == pytest.approx([15 * math.exp(0.4), 30 * math.exp(0.4)])
    share = figure_of(results, falls_to=0.4)[0].drop_duplicates("model.width")
    assert list(share["emc"]) == pytest.approx(list(higher["emc"]))


def test_what_lies_beyond_the_numbers_of_examples_is_a_hollow_triangle():
    frame, chart, caption = figure_of(results_of({1: 5.0, 2: 15.0, 4: 200.0}))
    known = frame.drop_duplicates("model.width")
    assert list(known["beyond"]) == ["<", "", ">"]
    assert list(known["emc"].isna()) == [True, False, True]
    top = chart.panels[0]
    hollow = {dots.marker: (dots.x["model.width"], dots.y) for dots in marks(top, Dots) if dots.hollow}
    assert hollow == {"triangle": ((4.0,), (80.0,)), "triangle down": ((1.0,), (10.0,))}
    (line,) = [line for line in marks(top, Line) if line.marker]
    assert [y is None for y in line.y] == [True, False, True]
    assert [mark.series.label for mark in chart.legend][:2] == ["at least the largest n", "below the least n"]
    assert "It is at least the largest n in 1 and below the least n in 1 of 3 settings." in caption


def test_the_numbers_of_parameters_and_of_what_they_can_fit_are_drawn_where_they_lie_among_the_n():
    _, chart, _ = figure_of(results_of({2: 15.0, 4: 30.0}))
    sizes = {line.series.label: line.y for line in marks(chart.panels[0], Line) if not line.marker}
    assert sizes == {"n = P": (20.0, 40.0), "n = P / K": (10.0, 20.0)}
    assert {"n = P", "n = P / K"} <= {mark.series.label for mark in chart.legend}
    results = results_of({200: 15.0, 400: 30.0})
    assert not [line for line in marks(figure_of(results)[1].panels[0], Line) if not line.marker]


def test_a_line_for_each_group_and_its_curve_at_the_middle_width():
    parts = []
    for noise, factor in ((0.0, 1.5), (0.2, 1.0)):
        part = results_of({2: 15.0 * factor, 4: 30.0 * factor})
        for table in (part.trials, part.curves):
            table["trial_id"] += f"/{noise}"
        part.trials["data.label_noise"] = noise
        parts.append(part)
    results = Results(pd.concat([part.trials for part in parts]), pd.concat([part.curves for part in parts]), SWEEP)
    frame, chart, caption = figure_of(results, group="data.label_noise")
    found = frame.drop_duplicates(["data.label_noise", "model.width"]).set_index(["data.label_noise", "model.width"])["emc"]
    assert found[0.0, 2] == pytest.approx(22.5)
    assert found[0.2, 4] == pytest.approx(30)
    lines = {line.series.label: line.y for line in marks(chart.panels[0], Line) if line.marker}
    assert set(lines) == {"0", "0.2"}
    assert lines["0.2"] == pytest.approx((15, 30))
    assert chart.colors == "label noise"
    fits = [line for line in marks(chart.panels[1], Line) if line.series.label in lines]
    assert len(fits) == 2
    for panel in chart.panels:
        assert [note.text for note in marks(panel, Note)] == ["0", "0.2"]
    assert [note.y for note in marks(chart.panels[0], Note)] == pytest.approx([45, 30])
    assert "Below, at width 4: means" in caption
    with pytest.raises(ConfigError, match="would be averaged as if they were seeds"):
        figure_of(results)


def test_one_number_of_examples_has_no_complexity(results):
    with pytest.raises(ConfigError, match="needs trials with several numbers of examples"):
        figure_of(results)


def test_a_metric_that_was_never_measured_is_refused():
    results = results_of({2: 15.0})
    results.curves["norm"] = np.nan
    with pytest.raises(ConfigError, match=r"metric=norm: was not measured \(all nan\)"):
        figure_of(results, metric="norm")


def test_two_levels_are_refused():
    with pytest.raises(ConfigError, match=r"figures\.f: at_most and at_least of train_error"):
        figure_of(results_of({2: 15.0}), at_most=0.1, at_least=0.2)
