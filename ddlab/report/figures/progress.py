"""Metrics along the steps, a panel for each kind: how a network comes to generalise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ddlab.errors import ConfigError
from ddlab.report.charts import Axis, Band, Chart, Line, Mark, Note, Panel, Series, positions, values
from ddlab.report.charts.colors import CATEGORIES, TEST, TRAIN
from ddlab.report.columns import label, number, require
from ddlab.report.figures.base import Recipe
from ddlab.report.figures.curve_parts import SCALES, check_metrics, check_parts
from ddlab.report.figures.phases import Phases, over_seeds, phases, words
from ddlab.report.frames import curves_over_seeds
from ddlab.report.options import option
from ddlab.report.selection import require_seeds_only, selected
from ddlab.store.results import Results

# Of the metrics that are in many figures.
COLORS = {"train_loss": TRAIN, "test_loss": TEST, "train_error": TRAIN, "test_error": TEST}
OTHERS = tuple(color for color in CATEGORIES if color not in (TRAIN, TEST))


@dataclass(frozen=True)
class _Part:
    """One of the panels."""

    metrics: Sequence[str] = option("columns of the curves")
    label: str = option("of the vertical axis; empty: the first metric", "")
    y_scale: str = option("of the vertical axis", "log", choices=SCALES)

    def color(self, metric: str) -> str:
        others = [name for name in self.metrics if name not in COLORS]
        return COLORS[metric] if metric in COLORS else OTHERS[others.index(metric)]


@dataclass(frozen=True)
class Progress(Recipe):
    """Metrics against steps in panels: medians over seeds, bands from the lowest to the highest.

    The steps are shaded between which the trials have memorised and not yet generalised, as in `grokking`.
    """

    panels: Sequence[Mapping[str, Any]] = option("of each panel its metrics, and label, y_scale", ())
    accuracy: float = option("what counts as learnt", 0.99, above=0, high=1)

    def check(self, name: str) -> None:
        super().check(name)
        if not self.panels:
            raise ConfigError(f"figures.{name}.panels: must have one entry or more")
        check_parts(f"figures.{name}.panels", _Part, self.panels)
        for part in self._parts:
            check_metrics(f"figures.{name}.panels", part.metrics)
            if len(part.metrics) > len(OTHERS):
                raise ConfigError(f"figures.{name}.panels: one has {len(part.metrics)} metrics; {len(OTHERS)} can be told apart")

    @property
    def _parts(self) -> list[_Part]:
        return [_Part(**entry) for entry in self.panels]

    @property
    def _metrics(self) -> list[str]:
        return list(dict.fromkeys(metric for part in self._parts for metric in part.metrics))

    def frame(self, results: Results) -> pd.DataFrame:
        """Return rows of each metric along the steps (median, low, high), and those of `phases`."""
        trials = selected(results, self.where)
        for metric in self._metrics:
            require(results.curves, metric, "metric")
        require_seeds_only(trials, [], results.seeds)
        curves = curves_over_seeds(results, trials, None, self._metrics)
        learnt = phases(results, trials, self.accuracy)
        return pd.concat([curves.assign(censored=False), pd.DataFrame(learnt.rows())], ignore_index=True)

    def chart(self, frame: pd.DataFrame) -> Chart:
        shaded = Phases.of(frame).spans()
        panels = [Panel(self._axis(part), [*shaded, *self._marks(frame, part)]) for part in self._parts]
        steps = Axis(label("step"), "step", "symlog", low=0.0, high=float(frame["step"].max()))
        return Chart([steps], panels, shaded, self.title, size=(4.2, 0.6 + 1.6 * len(panels)))

    def _axis(self, part: _Part) -> Axis:
        return Axis(part.label or label(part.metrics[0]), scale=part.y_scale)

    def _marks(self, frame: pd.DataFrame, part: _Part) -> list[Mark]:
        marks: list[Mark] = []
        for metric in part.metrics:
            rows = frame[(frame["metric"] == metric) & np.isfinite(frame["median"])]
            series, x = Series(label(metric), part.color(metric)), positions(rows, ["step"])
            marks.append(Band(x, values(rows["low"]), values(rows["high"]), series, 0.15))
            marks.append(Line(x, values(rows["median"]), series))
            if len(rows):
                last = rows.iloc[-1]
                marks.append(Note({"step": float(last["step"])}, float(last["median"]), series.label, series))
        return marks

    def caption(self, frame: pd.DataFrame) -> str:
        last = {metric: frame[(frame["metric"] == metric) & frame["median"].notna()].tail(1) for metric in self._metrics}
        found = [f"{label(metric)} {number(metric, float(row['median'].iloc[0]))}" for metric, row in last.items() if len(row)]
        return (
            f"{over_seeds(frame)}{self.selection}, band: lowest to highest."
            f" {words([Phases.of(frame)])} At the end: {', '.join(found)}."
        )
