"""Text beside the points of a panel, moved apart where it would overlap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from ddlab.report.charts.chart import Note

# Notes nearer than this share of the panel's width may overlap.
NEAR = 0.15

# Of text, in inches.
LINE_HEIGHT = 0.13

HALO = withStroke(linewidth=3, foreground="white")

SIDES: dict[str, dict[str, Any]] = {
    "right": {"xytext": (4, 0), "ha": "left", "va": "center"},
    "left": {"xytext": (-5, 0), "ha": "right", "va": "center"},
    "above": {"xytext": (0, 5), "ha": "center", "va": "bottom"},
}


def draw_notes(axes: Axes, notes: Sequence[Note], column: str, height: float) -> None:
    """Write the notes of a panel whose scales and ends are set.

    Args:
        axes: of the panel.
        notes: all of them.
        column: what the horizontal axis shows.
        height: of the panel, in inches, about.
    """
    if not notes:
        return
    points = np.array([(note.x[column], note.y) for note in notes], float)
    places = axes.transAxes.inverted().transform(axes.transData.transform(points))
    places[:, 1] = apart(places[:, 0], places[:, 1], LINE_HEIGHT / height)
    look = {"xycoords": "axes fraction", "textcoords": "offset points", "fontsize": mpl.rcParams["legend.fontsize"]}
    for note, place in zip(notes, places, strict=True):
        axes.annotate(note.text, place, color=note.series.color, path_effects=[HALO], **look, **SIDES[note.side])


def apart(x: np.ndarray, y: np.ndarray, gap: float) -> np.ndarray:
    """Return heights within a panel, at least a gap apart among points that are near in `x`, in the order of `y` and near to it.

    Args:
        x, y: [N] where points are, as shares of a panel.
        gap: of heights, as such a share.
    """
    moved = y.astype(float)
    for cluster in _clusters(x):
        order = cluster[np.argsort(y[cluster], kind="stable")]
        places = np.arange(len(order))
        above_floor = np.maximum(_stacked(y[order], gap), gap * (places + 0.5))
        moved[order] = np.minimum(above_floor, 1 - gap * (places[::-1] + 0.5))
    return moved


def _clusters(x: np.ndarray) -> list[np.ndarray]:
    """Return the indices of points that are near in `x`, from left to right."""
    order = np.argsort(x, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(x[order]) > NEAR) + 1)


def _stacked(y: np.ndarray, gap: float) -> np.ndarray:
    """Return ascending heights a gap apart: blocks that touch are merged, and lie around the mean of where they would be."""
    blocks: list[tuple[float, int]] = []
    for height in y:
        mean, count = float(height), 1
        while blocks and blocks[-1][0] + gap * (blocks[-1][1] + count) / 2 > mean:
            before, number = blocks.pop()
            mean, count = (before * number + mean * count) / (number + count), number + count
        blocks.append((mean, count))
    return np.concatenate([mean + gap * (np.arange(count) - (count - 1) / 2) for mean, count in blocks])
