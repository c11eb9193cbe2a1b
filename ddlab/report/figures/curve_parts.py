"""The parts of a figure of curves, as its options give them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ddlab.report.options import option

SCALES = ("linear", "log")


@dataclass(frozen=True)
class PanelPart:
    """One of several panels; what an entry leaves out is as the figure has it."""

    metrics: Sequence[str] = option("columns of the curves; the axis fits the first")
    y_scale: str = option("of the vertical axis", "log", choices=SCALES)
    y_min: float | None = option("least value shown", None)


@dataclass(frozen=True)
class CurvePart:
    """One of several curves; what an entry leaves out is as the figure has it."""

    label: str = option("its name")
    where: Mapping[str, Any] = option("its trials, of those that the figure shows", dict)
    best_over: str | None = option("a column of the trials; of its values the one of least mean is taken at each x", None)
    theory: str | None = option("name of a closed form, drawn over the simulation", None)
