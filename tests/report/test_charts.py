"""Charts: how their data are drawn, where axes end, and how labels keep apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ddlab.report.charts import Axis, Band, Bars, Chart, Dots, HeatMap, Line, Note, Panel, Rule, Series, values
from ddlab.report.charts.apart import apart
from ddlab.report.charts.colors import group_series
from ddlab.report.charts.draw import draw, lay_out, render
from ddlab.report.charts.limits import limits
from ddlab.report.charts.wrap import broken

BLUE, RED = Series("blue", "#0000ff"), Series("red", "#ff0000")
X = {"width": (1.0, 10.0, 100.0), "params": (2.0, 200.0, 20000.0)}
Y = (1.0, None, 3.0)
WIDTH, PARAMS = Axis("width", "width", "log"), Axis("parameters", "params", "log")


def chart_of(*marks, **options):
    return Chart([WIDTH, PARAMS], [Panel(Axis("loss", low=0.0, high=4.0), marks)], **options)


def test_a_line_is_drawn_along_the_first_axis_with_its_gaps():
    axes = draw(chart_of(Line(X, Y, BLUE, "dashed", "circle"))).axes[0]
    (line,) = axes.lines
    np.testing.assert_array_equal(line.get_xdata(), X["width"])
    np.testing.assert_array_equal(line.get_ydata(), [1.0, np.nan, 3.0])
    assert (line.get_color(), line.get_marker(), axes.get_ylim(), axes.get_xlabel()) == ("#0000ff", "o", (0, 4), "width")


def test_another_axis_shows_the_same_marks_at_its_own_places():
    switched = replace(chart_of(Line(X, Y, BLUE), Rule({"params": 200.0}, RED)), x=[PARAMS, WIDTH])
    line, rule = draw(switched).axes[0].lines
    np.testing.assert_array_equal(line.get_xdata(), X["params"])
    assert rule.get_xdata() == [200, 200]


@pytest.mark.parametrize(
    ("axis", "labels"),
    [
        (Axis("error", low=0.02, high=0.9, scale="log", percent=True), ["10 %", "2 %", "5 %", "20 %", "50 %"]),
        (Axis("loss", low=0.9, high=1100.0, scale="log"), ["1", "10", "100", "1,000"]),
        (Axis("step", low=0.0, high=200.0, scale="symlog"), ["0", "1", "10", "100"]),
        (Axis("decay", low=0.0, high=2.0, ticks=(0.0, 0.25, 1.5)), ["0", "0.25", "1.5"]),
        (Axis("error", low=0.0, high=1.0, percent=True), ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]),
    ],
)
def test_ticks_are_labelled_with_plain_numbers(axis, labels):
    drawn = draw(Chart([WIDTH], [Panel(axis, [Line(X, Y, BLUE)])])).axes[0].yaxis
    low, high = drawn.get_view_interval()
    ticks = [
        tick
        for minor in (False, True)
        for tick in zip(drawn.get_ticklocs(minor=minor), drawn.get_ticklabels(minor=minor), strict=True)
    ]
    assert [label.get_text() for at, label in ticks if low <= at <= high and label.get_text()] == labels


def test_a_rule_of_another_axis_is_neither_drawn_nor_listed():
    line, rule = Line(X, Y, BLUE), Rule({"params": 200.0}, RED)
    figure = draw(chart_of(line, rule, legend=[line, rule]))
    assert len(figure.axes[0].lines) == 1
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["blue"]


def test_every_mark_is_drawn_in_every_format():
    flat = {"width": X["width"]}
    cells = HeatMap(flat, (1.0, 2.0), ((0.1, 0.2, None), (0.3, 0.4, 0.5)), Axis("error", low=0.1, high=0.4, percent=True))
    over = [Line(flat, (1.0, 1.5, 2.0), BLUE), Note({"width": 10.0}, 1.5, "here", RED, "left"), Rule({"width": 2.0}, RED)]
    marks = [Band(X, Y, Y, RED), Bars(X, Y, Y, RED), Dots(X, Y, RED, hollow=True)]
    panels = [Panel(Axis("width"), [cells, *over]), Panel(Axis("loss", scale="log"), marks)]
    chart = Chart([WIDTH], panels, [*over[:1], *marks[:1], *marks[2:]], "title", "what")
    files = render(chart)
    assert {form: content[:5] for form, content in files.items()} == {"png": b"\x89PNG\r", "pdf": b"%PDF-", "svg": b"<?xml"}
    assert render(chart) == files


@pytest.mark.parametrize(
    ("main", "others", "ends"),
    [
        ([0.60, 0.70], [0.0, 0.3], (0.588, 0.712)),  # a bump that an axis from 0 would hide: the others leave it
        ([0.10, 0.70], [0.0, 0.9], (0.0, 1.008)),
        ([2.0, 2.0], [], (0.0, 2.24)),
        ([0.0, 0.0], [], (0.0, 1.0)),
        ([-1.0, 1.0], [], (-1.12, 1.24)),
        ([1.0, 2.0, np.inf, np.nan], [0.0], (0.0, 2.24)),
    ],
)
def test_a_linear_axis_begins_at_0_unless_that_hides_how_values_differ(main, others, ends):
    np.testing.assert_allclose(limits("linear", main, others), ends)


def test_a_log_axis_shows_what_is_not_far_below_what_matters():
    np.testing.assert_allclose(limits("log", [1.0, 100.0, 0.0], [0.5, 200.0]), (0.5 / 1.3, 260))
    np.testing.assert_allclose(limits("log", [1.0, 100.0], [1e-9]), (1e-3 / 1.3, 130))


def test_a_text_is_broken_between_words():
    assert broken("examples N per effective model complexity", 2) == "examples N per effective\nmodel complexity"
    assert broken("one $a b c d$ two", 3) == "one\n$a b c d$\ntwo"
    assert broken("indivisible", 2) == "indivisible"


@pytest.mark.parametrize("words", [8, 14])
def test_no_label_is_longer_than_its_place(words):
    long = " ".join(["examples"] * words)
    figure = draw(Chart([Axis(long, "width", "log")], [Panel(Axis("loss"), [Line(X, Y, BLUE)])], title=long))
    lay_out(figure)
    for text in (figure.axes[0].xaxis.label, figure.texts[0]):
        box = text.get_window_extent()
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
    tall = draw(chart_of(Line(X, Y, BLUE)))
    (axes,) = tall.axes
    axes.set_ylabel(long)
    lay_out(tall)
    assert axes.yaxis.label.get_window_extent().height <= axes.bbox.height


def test_names_at_the_same_place_are_moved_apart_and_stay_in_order_and_inside():
    y = np.array([0.5, 0.52, 0.9, 0.0])
    moved = apart(np.ones(4), y, 0.1)
    assert (np.diff(moved[np.argsort(y)]) >= 0.1 - 1e-12).all()
    np.testing.assert_allclose(moved, [0.46, 0.56, 0.9, 0.05])
    np.testing.assert_allclose(apart(np.array([0.1, 0.9]), np.array([0.5, 0.5]), 0.1), [0.5, 0.5])
    crowded = apart(np.ones(3), np.full(3, 0.99), 0.1)
    np.testing.assert_allclose(np.sort(crowded), [0.75, 0.85, 0.95])


def test_groups_of_numbers_are_ordered_in_colour_and_others_are_categories():
    ordered = group_series(np.array([1, 2, 4]), ["1", "2", "4"])
    assert [series.value for series in ordered] == [1.0, 2.0, 4.0]
    light = [sum(int(series.color[k : k + 2], 16) for k in (1, 3, 5)) for series in ordered]
    assert light == sorted(light)
    assert [series.value for series in group_series(["a", None], ["a", "null"])] == ["a", None]
    assert group_series(["a", "b"], ["a", "b"])[0].color == group_series(["c"], ["c"])[0].color


def test_numbers_that_are_not_finite_are_gaps():
    assert values([1, np.nan, np.inf, 2.5]) == (1.0, None, None, 2.5)
