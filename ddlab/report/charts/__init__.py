"""Charts as data, and what draws them."""

from ddlab.report.charts.chart import (
    Axis,
    Band,
    Bars,
    Chart,
    Dots,
    HeatMap,
    Line,
    Mark,
    Note,
    Panel,
    Reference,
    Rule,
    Series,
    Span,
    positions,
    values,
)

__all__ = [
    "Axis",
    "Band",
    "Bars",
    "Chart",
    "Dots",
    "HeatMap",
    "Line",
    "Mark",
    "Note",
    "Panel",
    "Reference",
    "Rule",
    "Series",
    "Span",
    "positions",
    "values",
]
