"""Charts drawn with matplotlib: PNG, PDF and SVG."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import style
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.text import Text

from ddlab.report.charts.axes import keep_ticks, label_ticks, set_ends, set_scale
from ddlab.report.charts.chart import Band, Bars, Chart, Dots, HeatMap, Line, Note, Panel, Place, Reference, Rule, Span, Values
from ddlab.report.charts.mathematics import fault
from ddlab.report.charts.notes import draw_notes
from ddlab.report.charts.wrap import wrap_labels

STYLE = Path(__file__).with_name("ddlab.mplstyle")
FORMATS = ("png", "pdf", "svg")

# Files that are made twice from the same metrics are the same.
METADATA = {"png": {}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}

DASHES: dict[str, Any] = {"solid": "-", "dashed": (0, (4, 1.6)), "dotted": (0, (1, 1.5))}
MARKERS = {"circle": "o", "square": "s", "triangle": "^", "triangle down": "v", "": None}

# What of a figure's height its panels take, about.
PANELS = 0.75

# Outlines lines and text over a heat map.
HALO = "#00000099"

# Of a legend, in inches: a sample with its gaps, and a letter.
SAMPLE, LETTER = 0.4, 0.06


def render(chart: Chart) -> dict[str, bytes]:
    """Return a chart as files of each of `FORMATS`."""
    with style.context(str(STYLE), after_reset=True):  # a matplotlibrc of the working directory changes nothing
        figure = draw(chart)
        lay_out(figure)
        return {form: _saved(figure, form) for form in FORMATS}


def lay_out(figure: Figure) -> None:
    """Give the panels of a figure their places, once for all files."""
    ConstrainedLayoutEngine().execute(figure)
    for axes in figure.axes:  # now that panels have their size, with which their ticks change, and room for these
        keep_ticks(axes.yaxis)
    wrap_labels(figure)
    ConstrainedLayoutEngine().execute(figure)
    figure.set_layout_engine(None)


def _saved(figure: Figure, form: str) -> bytes:
    image = io.BytesIO()
    figure.savefig(image, format=form, metadata=METADATA[form])
    return image.getvalue()


def draw(chart: Chart) -> Figure:
    """Return a figure of a chart, its horizontal axis showing the first that there is."""
    figure = Figure(figsize=chart.size, layout="constrained")
    shared = all(panel.x is None for panel in chart.panels)
    every = figure.subplots(len(chart.panels), 1, sharex=shared, squeeze=False)[:, 0]
    panels = [(axes, panel, panel.x or chart.x[0]) for axes, panel in zip(every, chart.panels, strict=True)]
    for axes, panel, x in panels:
        set_scale(axes, "x", x)
        set_scale(axes, "y", panel.y)
        _draw_panel(axes, panel, x.column)
        set_ends(axes, "y", panel.y)
        label_ticks(axes.yaxis, panel.y)
    for axes, _, x in panels[-1:] if shared else panels:
        set_ends(axes, "x", x)
        label_ticks(axes.xaxis, x)
    for axes, panel, x in panels:  # where panels share their ends of x, these are known only now
        notes = [mark for mark in panel.marks if isinstance(mark, Note) and x.column in mark.x]
        draw_notes(axes, notes, x.column, PANELS * chart.size[1] / len(every))
        if any(isinstance(mark, HeatMap) for mark in panel.marks):
            _outline(axes)
    _draw_head(figure, chart)
    _show_literally(figure)
    return figure


def _draw_panel(axes: Axes, panel: Panel, column: str) -> None:
    for mark in panel.marks:
        if not isinstance(mark, Rule | Reference | Span | Note):
            DRAWN[type(mark)](axes, mark, _array(mark.x[column]))
    for mark in panel.marks:
        if isinstance(mark, Rule) and column in mark.x:
            axes.axvline(mark.x[column], zorder=1.5, **_rule_look(mark))  # below the lines
        elif isinstance(mark, Reference):
            axes.axhline(mark.y, zorder=1.5, **_rule_look(mark))
        elif isinstance(mark, Span) and column in mark.low:
            axes.axvspan(mark.low[column], mark.high[column], color=mark.series.color, alpha=mark.opacity, linewidth=0)


def _array(values: Values) -> np.ndarray:
    return np.array(values, float)


def _line_look(mark: Line) -> dict[str, Any]:
    return {
        "color": mark.series.color,
        "linestyle": DASHES[mark.dash],
        "marker": MARKERS[mark.marker],
        "linewidth": mark.width,
    }


def _dots_look(mark: Dots) -> dict[str, Any]:
    filling = {"markerfacecolor": "none", "markeredgewidth": 1.0} if mark.hollow else {"markeredgewidth": 0}
    return {
        "color": mark.series.color,
        "linestyle": "none",
        "marker": MARKERS[mark.marker],
        "alpha": mark.opacity,
        **filling,
    }


def _rule_look(mark: Rule | Reference) -> dict[str, Any]:
    return {"color": mark.series.color, "linestyle": DASHES[mark.dash], "linewidth": 1.0}


def _draw_line(axes: Axes, mark: Line, x: np.ndarray) -> None:
    axes.plot(x, _array(mark.y), **_line_look(mark))


def _draw_dots(axes: Axes, mark: Dots, x: np.ndarray) -> None:
    axes.plot(x, _array(mark.y), clip_on=not mark.hollow, **_dots_look(mark))


def _draw_band(axes: Axes, mark: Band, x: np.ndarray) -> None:
    axes.fill_between(x, _array(mark.low), _array(mark.high), color=mark.series.color, alpha=mark.opacity, linewidth=0)


def _draw_bars(axes: Axes, mark: Bars, x: np.ndarray) -> None:
    axes.vlines(x, _array(mark.low), _array(mark.high), color=mark.series.color, linewidth=1)


def _draw_heat_map(axes: Axes, mark: HeatMap, x: np.ndarray) -> None:
    cells, scale = np.array(mark.z, float), mark.color
    norm = (LogNorm if scale.scale == "log" else Normalize)(scale.low, scale.high)
    edges = (_edges(centers, side.get_scale()) for centers, side in ((x, axes.xaxis), (_array(mark.y), axes.yaxis)))
    mesh = axes.pcolormesh(*edges, cells, cmap="cividis", norm=norm, rasterized=True)
    axes.grid(False)
    above, below = np.nanmax(cells) > norm.vmax, np.nanmin(cells) < norm.vmin
    extend = {(True, True): "both", (True, False): "max", (False, True): "min"}.get((bool(above), bool(below)), "neither")
    bar = axes.figure.colorbar(mesh, ax=axes, extend=extend)
    label_ticks(bar.ax.yaxis, scale)


def _edges(centers: np.ndarray, scale: str) -> np.ndarray:
    """Return the edges of cells, half-way between their centres on the axis: [C] -> [C + 1]."""
    places = np.log(centers) if scale == "log" else centers
    if len(places) == 1:
        edges = places + np.array([-0.5, 0.5])
    else:
        middle = (places[:-1] + places[1:]) / 2
        edges = np.concatenate([[2 * places[0] - middle[0]], middle, [2 * places[-1] - middle[-1]]])
    return np.exp(edges) if scale == "log" else edges


DRAWN: dict[type, Callable[[Axes, Any, np.ndarray], None]] = {
    Line: _draw_line,
    Dots: _draw_dots,
    Band: _draw_band,
    Bars: _draw_bars,
    HeatMap: _draw_heat_map,
}


def _outline(axes: Axes) -> None:
    """Outline the lines and the text of a panel, so that they are seen over any colour."""
    for artist in (*axes.lines, *axes.texts):
        artist.set_path_effects([withStroke(linewidth=2.5, foreground=HALO)])


def _draw_head(figure: Figure, chart: Chart) -> None:
    """Draw what stands above the panels: the title, what the colours mean, and the legend."""
    head = "\n".join(filter(None, [chart.title, f"colours: {chart.colors}" if chart.colors else ""]))
    column = chart.x[0].column
    listed = [mark for mark in chart.legend if not isinstance(mark, Rule | Span) or column in _place(mark)]
    if not listed:
        if head:
            figure.suptitle(head, fontsize=mpl.rcParams["axes.titlesize"])
        return
    names = [mark.series.label for mark in listed]
    handles = [_sample(mark) for mark in listed]
    columns = _num_columns(names, chart.size[0])
    legend = figure.legend(handles, names, loc="outside upper center", ncols=columns, title=head or None)
    legend.get_title().set_multialignment("center")


def _num_columns(names: Sequence[str], width: float) -> int:
    """Return the fewest columns of a legend that take as few rows as fit in a width, in inches."""
    for rows in range(1, len(names)):
        columns = math.ceil(len(names) / rows)
        longest = (max(map(len, column)) for column in np.array_split(list(names), columns))
        if sum(SAMPLE + LETTER * letters for letters in longest) <= width:
            return columns
    return 1


def _place(mark: Rule | Span) -> Place:
    return mark.x if isinstance(mark, Rule) else mark.low


def _sample(mark: Line | Dots | Band | Rule | Reference | Span) -> Artist:
    if isinstance(mark, Band | Span):
        return Patch(facecolor=mark.series.color, alpha=mark.opacity)
    look = _line_look(mark) if isinstance(mark, Line) else _dots_look(mark) if isinstance(mark, Dots) else _rule_look(mark)
    return Line2D([], [], **look)


def _show_literally(figure: Figure) -> None:
    """Let a figure show text whose mathematics cannot be drawn, such as a name that holds dollar signs, as it is."""
    for text in _texts(figure):
        if fault(text.get_text()):
            text.set_parse_math(False)


def _texts(figure: Figure) -> Iterator[Text]:
    """Yield what is written on a figure, but for the numbers at ticks."""
    yield from figure.texts
    for axes in figure.axes:
        yield from (axes.xaxis.label, axes.yaxis.label, *axes.texts)
    for legend in figure.legends:
        yield from (legend.get_title(), *legend.get_texts())
