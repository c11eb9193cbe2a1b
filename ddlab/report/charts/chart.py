"""A chart as data: panels of marks, their axes, and a legend. It is plain numbers and text, and can be written as JSON.

Whatever draws a chart needs nothing else: `ddlab.report.charts.draw` does it with matplotlib.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

# Numbers along a mark; None: a gap, which no line crosses.
Values = tuple[float | None, ...]

# Where marks lie on a horizontal axis, for each column that the axis may show.
Positions = Mapping[str, Values]

# The same of one point.
Place = Mapping[str, float]

Dash = Literal["solid", "dashed", "dotted"]
Marker = Literal["circle", "square", "triangle", "triangle down"]
Side = Literal["right", "left", "above"]


def values(numbers: Iterable[Any]) -> Values:
    """Return numbers as `Values`; one that is not finite is a gap."""
    return tuple(float(number) if np.isfinite(number) else None for number in np.asarray(list(numbers), float))


def positions(rows: pd.DataFrame, columns: Iterable[str]) -> Positions:
    """Return where the rows of a frame lie, by columns that a horizontal axis may show."""
    return {column: values(rows[column]) for column in columns}


@dataclass(frozen=True)
class Axis:
    """An axis, or a scale of colours.

    Attributes:
        label: what it shows, with its unit.
        column: of a horizontal axis: the column of the marks' `Positions` that it shows.
        scale: "linear", "log", or "symlog": linear from 0 to `linear_below`, and logarithmic beyond.
        low, high: its ends; None: it fits the marks.
        percent: fractions of one, shown in percent.
        ticks: where its ticks are; empty: where the renderer puts them.
        names: of the ticks; empty: their numbers.
    """

    label: str
    column: str = ""
    scale: str = "linear"
    low: float | None = None
    high: float | None = None
    percent: bool = False
    ticks: tuple[float, ...] = ()
    names: tuple[str, ...] = ()
    linear_below: float = 1.0


@dataclass(frozen=True)
class Series:
    """What the marks of one curve share.

    Attributes:
        label: its name.
        color: "#rrggbb".
        value: of the column that tells groups apart; None: it is no group.
    """

    label: str
    color: str
    value: float | str | None = None


@dataclass(frozen=True)
class Line:
    """A line through points.

    Attributes:
        x, y: its points.
        series: whose it is.
        dash: how it is drawn.
        marker: at each point; empty: none.
        width: in typographic points.
    """

    x: Positions
    y: Values
    series: Series
    dash: Dash = "solid"
    marker: Marker | Literal[""] = ""
    width: float = 1.5
    kind: str = field(default="line", init=False)


@dataclass(frozen=True)
class Dots:
    """Points without a line.

    Attributes:
        x, y: the points.
        series: whose they are.
        marker: at each.
        hollow: an outline only, as of values that are known to lie beyond.
        opacity: from 0 to 1.
    """

    x: Positions
    y: Values
    series: Series
    marker: Marker = "circle"
    hollow: bool = False
    opacity: float = 1.0
    kind: str = field(default="dots", init=False)


@dataclass(frozen=True)
class Band:
    """The area between two lines.

    Attributes:
        x, low, high: the lines' points.
        series: whose it is.
        opacity: from 0 to 1.
    """

    x: Positions
    low: Values
    high: Values
    series: Series
    opacity: float = 0.18
    kind: str = field(default="band", init=False)


@dataclass(frozen=True)
class Bars:
    """Vertical error bars.

    Attributes:
        x, low, high: where each is, and its ends.
        series: whose they are.
    """

    x: Positions
    low: Values
    high: Values
    series: Series
    kind: str = field(default="bars", init=False)


@dataclass(frozen=True)
class HeatMap:
    """Coloured cells.

    Attributes:
        x: centres of the columns of cells.
        y: centres of the rows.
        z: a row of values for each y; None: no cell.
        color: the scale of colours.
    """

    x: Positions
    y: Values
    z: tuple[Values, ...]
    color: Axis
    kind: str = field(default="heat map", init=False)


@dataclass(frozen=True)
class Rule:
    """A vertical line through all of a panel.

    Attributes:
        x: column -> where it is; an axis that shows another column has no such line.
        series: what it marks.
        dash: how it is drawn.
    """

    x: Place
    series: Series
    dash: Dash = "dotted"
    kind: str = field(default="rule", init=False)


@dataclass(frozen=True)
class Reference:
    """A horizontal line through all of a panel.

    Attributes:
        y: where it is.
        series: what it marks.
        dash: how it is drawn.
    """

    y: float
    series: Series
    dash: Dash = "solid"
    kind: str = field(default="reference", init=False)


@dataclass(frozen=True)
class Span:
    """The area between two vertical lines through all of a panel.

    Attributes:
        low, high: column -> where it begins and ends; an axis that shows another column has no such area.
        series: what it marks.
        opacity: from 0 to 1.
    """

    low: Place
    high: Place
    series: Series
    opacity: float = 0.12
    kind: str = field(default="span", init=False)


@dataclass(frozen=True)
class Note:
    """Text beside a point, in the colour of its series. Notes beside each other are moved apart.

    Attributes:
        x: column -> where the point is.
        y: of the point.
        text: a few letters.
        series: whose it is.
        side: of the point on which the text stands.
    """

    x: Place
    y: float
    text: str
    series: Series
    side: Side = "right"
    kind: str = field(default="note", init=False)


Mark = Line | Dots | Band | Bars | HeatMap | Rule | Reference | Span | Note


@dataclass(frozen=True)
class Panel:
    """Marks on a vertical axis of their own, drawn in their order.

    Attributes:
        y: the vertical axis.
        marks: what is drawn.
        x: a horizontal axis of its own; None: it is that of the chart.
    """

    y: Axis
    marks: Sequence[Mark]
    x: Axis | None = None


@dataclass(frozen=True)
class Chart:
    """Panels, one below the other, on one horizontal axis but for those that have their own.

    Attributes:
        x: what a reader may switch the horizontal axis to; the first is shown at first.
        panels: from top to bottom.
        legend: marks whose looks, and names of series, it lists; they may have no points.
        title: of the figure.
        colors: what the colours of the groups mean; empty: there are none.
        size: width and height in inches, as it is printed.
    """

    x: Sequence[Axis]
    panels: Sequence[Panel]
    legend: Sequence[Line | Dots | Band | Rule | Reference | Span] = ()
    title: str = ""
    colors: str = ""
    size: tuple[float, float] = (3.5, 2.9)
