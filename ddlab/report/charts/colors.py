"""Colours: of train and test, of groups that have an order, and of those that have none."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

from ddlab.report.charts.chart import Series

# Okabe and Ito: told apart with any colour vision, and in grey.
TRAIN, TEST, GREY = "#0072B2", "#D55E00", "#595959"
CATEGORIES = (TEST, TRAIN, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")

# Over a heat map.
WHITE = "#FFFFFF"


def is_ordered(groups: Sequence[Any]) -> bool:
    """Return whether the values of groups have an order: they are numbers."""
    return all(isinstance(value, Real) and not isinstance(value, bool) for value in groups)


def group_series(groups: Sequence[Any], labels: Sequence[str]) -> list[Series]:
    """Return the series of groups: numbers are coloured from dark to light, others as categories.

    Args:
        groups: the value of each group, in order.
        labels: the name of each.
    """
    colors = _ordered_colors(len(groups)) if is_ordered(groups) else CATEGORIES
    return [Series(label, color, _plain(value)) for value, label, color in zip(groups, labels, colors, strict=False)]


def darker(color: str) -> str:
    """Return a colour that is seen over dots of the same hue."""
    return "#" + "".join(f"{int(0.6 * int(color[k : k + 2], 16)):02x}" for k in (1, 3, 5))


def _plain(value: Any) -> float | str | None:
    """Return a value of a column as JSON has it; null for one that is missing."""
    if value is None or value != value:
        return None
    return float(value) if is_ordered([value]) else str(value)


def _ordered_colors(number: int) -> list[str]:
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    scale = colormaps["viridis"]
    return [to_hex(scale(0.88 * k / max(1, number - 1))) for k in range(number)]
