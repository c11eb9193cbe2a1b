"""The parts of a figure of curves, as its options give them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ddlab.errors import ConfigError
from ddlab.report.options import check_options, is_number, option, shown

SCALES = ("linear", "log")


@dataclass(frozen=True)
class PanelPart:
    """One of several panels; what an entry leaves out is as the figure has it."""

    metrics: Sequence[str] = option("columns of the curves; the axis fits the first")
    y_scale: str = option("of the vertical axis", "log", choices=SCALES)
    y_min: float | None = option("least value shown", None)
    levels: Mapping[str, Any] = option("horizontal lines: name -> value", dict)


@dataclass(frozen=True)
class CurvePart:
    """One of several curves; what an entry leaves out is as the figure has it."""

    label: str = option("its name")
    where: Mapping[str, Any] = option("its trials, of those that the figure shows", dict)
    best_over: str | None = option("a column of the trials; of its values the one of least mean is taken at each x", None)
    theory: str | None = option("name of a closed form, drawn over the simulation", None)
    stop_by: str | None = option("a metric of each trial: shown is where that was least, not its last step", None)


def check_parts(entry: str, kind: type, parts: Sequence[Any]) -> None:
    """Raise `ConfigError` where an option such as "figures.risk.panels" is no list of mappings with the options of a kind."""
    for part in parts:
        if not isinstance(part, Mapping):
            raise ConfigError(f"{entry}={shown(part)}: must be a list of mappings")
        check_options(entry, f"an entry of {entry.rpartition('.')[2]}", kind, part)


def check_levels(entry: str, panel: PanelPart) -> None:
    """Raise `ConfigError` where a level of a panel is no number that its axis can show."""
    for name, value in panel.levels.items():
        if not isinstance(name, str) or not is_number(value) or (panel.y_scale == "log" and value <= 0):
            above = " above 0, on a log scale" if panel.y_scale == "log" else ""
            raise ConfigError(f"{entry}.levels.{shown(name)}={shown(value)}: must be a name, and a number{above}")


def check_metrics(entry: str, metrics: Sequence[Any]) -> None:
    """Raise `ConfigError` where the metrics of a panel are not one column or more."""
    if not metrics or not all(isinstance(metric, str) for metric in metrics):
        raise ConfigError(f"{entry}.metrics={shown(metrics)}: must be one column or more")
