"""The figure of claims: a row for each, its number, interval, bound and verdict."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ddlab.errors import ConfigError
from ddlab.report.charts import Band, Dots, Line, Note, Rule
from ddlab.report.charts.draw import draw, render
from ddlab.report.figures import make_recipe

AT = {"kind": "value", "metric": "test_loss", "source": "nobody"}
CLAIMS = {
    "small_2": {**AT, "where": {"model.width": 2}, "between": [0.5, 2]},
    "large_8": {**AT, "where": {"model.width": 8}, "between": [None, 7]},
    "small_4": {**AT, "where": {"model.width": 4}, "between": [2, 4]},
    "many_seeds": {**AT, "where": {"model.width": 16}, "between": [0, 9], "seeds": 3},
}


@pytest.fixture
def claimed(results):
    """The shared results, with claims: two that pass, one that fails, and one of more seeds than there are."""
    return replace(results, sweep={**results.sweep, "claims": CLAIMS})


def marks(chart, kind):
    return [mark for mark in chart.panels[0].marks if isinstance(mark, kind)]


def figure_of(results, **options):
    recipe = make_recipe("f", {"recipe": "claims", **options})
    frame = recipe.frame(results)
    return frame, recipe.chart(frame), recipe.caption(frame)


def test_each_claim_has_its_number_its_interval_and_its_bound(claimed):
    frame, chart, caption = figure_of(claimed)
    assert frame["claim"].tolist() == list(CLAIMS)
    assert frame["measured"].tolist()[:3] == [1.0, 9.0, 3.0]
    assert frame["status"].tolist() == ["pass", "fail", "pass", "not enough data"]
    low, high = (getattr(chart.x[0], end) for end in ("low", "high"))
    assert low < 0
    assert high > 9.5
    dots = {dots.y[0]: (dots.x["measured"][0], dots.series.label) for dots in marks(chart, Dots)}
    assert dots == {4.0: (1.0, "pass"), 3.0: (9.0, "fail"), 2.0: (3.0, "pass")}
    bounds = [band.x["measured"] for band in marks(chart, Band)]
    assert bounds == [(0.5, 2.0), (low, 7.0), (2.0, 4.0), (0.0, 9.0)]  # an open side goes to the end of the axis
    assert [line.x["measured"] for line in marks(chart, Line)][:3] == [(0.5, 1.5), (8.5, 9.5), (2.5, 3.5)]
    assert [note.text for note in marks(chart, Note)] == ["not enough data"]
    assert chart.panels[0].y.names == ("small 2", "large 8", "small 4", "many seeds")
    assert [mark.series.label for mark in chart.legend] == ["pass", "fail", "not enough data", "bound"]
    assert chart.x[0].label == "test cross-entropy (nats)"
    assert "2 of 4 pass; fail: large 8; not enough data: many seeds. Measured: from 1 (small 2) to 9 (large 8)." in caption
    assert render(chart)["png"]


def test_claims_stand_under_headings_without_the_letters_that_these_name(claimed):
    groups = {"LARGE": "large_?", "SMALL": "small_*"}
    frame, chart, _ = figure_of(claimed, groups=groups, claims=["small_*", "large_8"], x_label="loss", reference=1)
    assert frame["claim"].tolist() == ["large_8", "small_2", "small_4"]
    y = chart.panels[0].y
    assert dict(zip(y.ticks, y.names, strict=True)) == {5.0: "LARGE", 4.0: "8", 3.0: "SMALL", 2.0: "2", 1.0: "4"}
    assert ([rule.x for rule in marks(chart, Rule)], chart.x[0].label) == ([{"measured": 1}], "loss")
    drawn = draw(chart).axes[0].get_yticklabels()
    assert [text.get_text() for text in drawn] == list(y.names)
    assert {text.get_rotation() for text in drawn} == {0.0}


def test_a_step_that_is_known_to_lie_beyond_is_hollow(claimed):
    never = {**AT, "kind": "first_crossing", "at_most": 0.1, "where": {"model.width": 2}, "between": [1, None]}
    frame, chart, _ = figure_of(replace(claimed, sweep={**claimed.sweep, "claims": {"never": never}}))
    assert frame["beyond"].tolist() == [">"]
    assert [(dots.x["measured"], dots.hollow) for dots in marks(chart, Dots)] == [((100.0,), True)]


def test_a_log_axis_shows_every_number(claimed):
    _, chart, _ = figure_of(claimed, claims=["*_2", "*_8"], x_scale="log", reference=0.01)
    np.testing.assert_allclose([chart.x[0].low * 1.3, chart.x[0].high / 1.3], [0.01, 9.5])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"where": {"seed": 0}}, r"figures\.f\.where: claims have their own"),
        ({"claims": ["smal_2"]}, r"claims=smal_2: there is no such claim\. did you mean 'small_2'"),
        ({"groups": {"A": "nothing*"}}, r"claims=nothing\*: there is no such claim"),
        ({"groups": {"A": 3}}, r"figures\.f\.groups=.*: must be names of claims"),
        ({"x_scale": "log", "reference": 0}, r"figures\.f\.reference=0: must be above 0, on a log scale"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(claimed, options, words):
    with pytest.raises(ConfigError, match=words):
        figure_of(claimed, **options)


def test_a_sweep_without_claims_has_no_such_figure(results):
    with pytest.raises(ConfigError, match="the sweep has no claims"):
        figure_of(results)


def test_a_log_axis_needs_something_above_0(claimed):
    below = {**AT, "where": {"model.width": 2}, "between": [None, 0], "seeds": 9}
    with pytest.raises(ConfigError, match="x_scale=log: no claim has a number or a bound above 0"):
        figure_of(replace(claimed, sweep={**claimed.sweep, "claims": {"below": below}}), x_scale="log")
