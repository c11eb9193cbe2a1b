"""Axes drawn with matplotlib: scales, ends and ticks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis as DrawnAxis
from matplotlib.axis import XAxis
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from ddlab.report.charts.chart import Axis

# Over more decades than this, ticks of a log axis are powers of ten.
MOST_DECADES = 6

# More tick labels than this of a horizontal axis stand at an angle.
MOST_LEVEL = 5


def set_scale(axes: Axes, which: str, axis: Axis) -> None:
    """Give one direction, "x" or "y", its scale, before anything is drawn."""
    options = {"linthresh": axis.linear_below, "linscale": 0.5} if axis.scale == "symlog" else {}
    getattr(axes, f"set_{which}scale")(axis.scale, **options)


def set_ends(axes: Axes, which: str, axis: Axis) -> None:
    """Give one direction its ends, once all is drawn: where the axis has none, they fit it."""
    low, high = getattr(axes, f"get_{which}lim")()
    getattr(axes, f"set_{which}lim")(low if axis.low is None else axis.low, high if axis.high is None else axis.high)


def label_ticks(drawn: DrawnAxis, axis: Axis) -> None:
    """Put the ticks where the axis says, if it does, and label them with plain numbers."""
    drawn.set_label_text(axis.label)
    text = _percent if axis.percent else _plain
    if axis.ticks:
        drawn.set_major_locator(FixedLocator(axis.ticks))
        drawn.set_minor_locator(NullLocator())
        drawn.set_tick_params(labelrotation=45 if len(axis.ticks) > MOST_LEVEL and isinstance(drawn, XAxis) else 0)
        if axis.names:
            drawn.set_major_formatter(FixedFormatter(axis.names))
            for name in drawn.get_ticklabels():
                name.set(horizontalalignment="right", rotation_mode="anchor")
            return
    elif axis.scale == "log":
        low, high = drawn.get_view_interval()
        decades = float(np.log10(high / low))
        if decades > MOST_DECADES:
            return
        drawn.set_minor_formatter(FuncFormatter(partial(_some_digits, text, decades)))
    elif axis.scale == "symlog":
        drawn.set_minor_formatter(NullFormatter())
    else:
        if isinstance(drawn, XAxis):
            drawn.set_major_locator(MaxNLocator(MOST_LEVEL, steps=[1, 2, 2.5, 5, 10]))  # of long numbers there is room for few
        if not axis.percent:
            return
    drawn.set_major_formatter(FuncFormatter(text))


def keep_ticks(drawn: DrawnAxis) -> None:
    """Leave the ticks of a linear axis where they are, whatever its size becomes."""
    if drawn.get_scale() == "linear":
        low, high = drawn.get_view_interval()
        drawn.set_major_locator(FixedLocator([tick for tick in drawn.get_majorticklocs() if low <= tick <= high]))


def _plain(value: float, _: Any) -> str:
    return f"{value:,.0f}" if value >= 1 and value == round(value) else f"{value:g}"


def _percent(value: float, _: Any) -> str:
    return f"{100 * value:.4g} %"


def _some_digits(text: Callable[[float, Any], str], decades: float, value: float, _: Any) -> str:
    """Return the label of a minor tick of a log axis: the more decades it has, the fewer digits are labelled."""
    digit = round(value / 10 ** np.floor(np.log10(value)))
    digits = (2, 3, 5, 7) if decades < 1.2 else (2, 5) if decades < 2 else ()
    return text(value, None) if digit in digits else ""
