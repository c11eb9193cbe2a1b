"""Text beside the points of a panel, moved apart where it would overlap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from ddlab.report.charts.apart import LINE_HEIGHT, apart
from ddlab.report.charts.chart import Note

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
