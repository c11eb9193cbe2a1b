"""The chart of a figure of curves: its lines, bands, theory, thresholds and peaks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

from ddlab.report.charts import Axis, Band, Bars, Chart, Dots, Line, Mark, Note, Panel, Reference, Rule, Series, positions, values
from ddlab.report.charts.apart import LINE_HEIGHT, apart
from ddlab.report.charts.chart import Dash, Marker
from ddlab.report.charts.colors import CATEGORIES, GREY, TEST, TRAIN, darker, group_series, is_ordered
from ddlab.report.charts.limits import can_show, limits, shares
from ddlab.report.columns import NOISY_ERROR, is_share, label, named, number
from ddlab.report.figures.curve_parts import PanelPart
from ddlab.report.figures.peaks import clear_peak, interpolation_threshold, is_highest
from ddlab.report.intervals import FEWEST_SEEDS
from ddlab.report.selection import SAMPLES_PER_EMC
from ddlab.report.theories import deviation

# What a horizontal axis of this column is at 1.
UNITY = {"params_per_sample": "P = N", "params_per_sample_output": "P = N K", SAMPLES_PER_EMC: "N = EMC"}

# Of a panel, in inches.
PANEL = 1.3

# Points along the horizontal axis that are marked, at most.
MOST_MARKED = 60

DASHES: tuple[Dash, ...] = ("solid", "dashed", "dotted")


def median_deviation(frame: pd.DataFrame) -> float:
    """Return the median of |mean / theory - 1| over the points of the simulation at which the theory is finite."""
    simulation = frame[frame["kind"] == "simulation"]
    return deviation(simulation["mean"], simulation["theory"], 0.5)


@dataclass(frozen=True)
class CurveChart:
    """A figure of curves.

    Attributes:
        frame: of all curves and metrics (`CurveRows.frame`).
        x: what the horizontal axis may show, the first at first.
        panels: from top to bottom.
        group: what the groups are; empty: there are none.
        threshold: where on the first of `x` the interpolation threshold is, if that is known.
        middle: "mean" or "median" over seeds: what is drawn.
        title: of the figure.
    """

    frame: pd.DataFrame
    x: Sequence[Axis]
    panels: Sequence[PanelPart]
    group: str
    threshold: float | None
    middle: str
    title: str

    def chart(self) -> Chart:
        """Return the chart."""
        panels = [self._panel(panel, is_first=k == 0) for k, panel in enumerate(self.panels)]
        levels = {level.series.label: level for panel in self.panels for level in self._levels(panel)}
        legend = [*self._legend_of_curves(), *self._legend_of_theory(), *self._rules, *levels.values()]
        size = (3.5, 1.6 + PANEL * len(panels))
        return Chart(self.x, panels, legend, self.title, self.group if len(self._curves) > 1 else "", size)

    @property
    def _columns(self) -> list[str]:
        return [axis.column for axis in self.x]

    @cached_property
    def _curves(self) -> list[Series]:
        """The series of each curve; one without a name where there is one curve."""
        names = list(dict.fromkeys(self.frame["curve"]))
        if not self.group:
            return [Series(name, color) for name, color in zip(names, CATEGORIES, strict=False)]
        groups = [self.frame.loc[self.frame["curve"] == name, "group"].iloc[0] for name in names]
        return group_series(groups, names)

    @cached_property
    def _is_labelled(self) -> bool:
        """Whether the names of curves stand at their ends, rather than in the legend: those of ordered groups are short.

        The curves must end at one place, on the axis of the first panel, each near enough to its name.
        """
        panel = self.panels[0]
        ends = [self._end(panel, curve) for curve in self._curves]
        known = [end for end in ends if end is not None]
        alike = len(known) == len(ends) > 1 and len({end[self.x[0].column] for end in known}) == 1
        if not self.group or not is_ordered([series.value for series in self._curves]) or not alike:
            return False
        low, high = self._ends(panel)
        heights, gap = shares(panel.y_scale, low, high, [end["middle"] for end in known]), LINE_HEIGHT / PANEL
        moved = np.abs(apart(np.ones(len(known)), heights, gap) - heights)
        return bool(heights.min() > 0 and moved.max() <= gap)

    def _end(self, panel: PanelPart, curve: Series) -> pd.Series | None:
        """Return the last row of the first metric of a panel whose mean its axis can show; None where a curve has none."""
        rows = self._rows(panel.metrics[0], curve)
        there = rows[can_show(panel.y_scale, rows["middle"])]
        return there.iloc[-1] if len(there) else None

    def _series(self, panel: PanelPart, metric: str, curve: Series) -> Series:
        """Return the series of a metric of a curve: coloured by curve where there are several, else by metric."""
        if len(self._curves) > 1:
            return curve
        place, split = list(panel.metrics).index(metric), metric.partition("_")[0]
        name = self._name(panel, metric)
        if not self._is_split(panel):
            return Series(name, CATEGORIES[place])
        others = [color for color in CATEGORIES if color not in (TEST, TRAIN)]
        return Series(name, {"test": TEST, "train": TRAIN}.get(split) or others[place % len(others)])

    def _name(self, panel: PanelPart, metric: str) -> str:
        """Return a metric in words; of one quantity on several examples, which these are."""
        if not self._is_split(panel):
            return self._label(metric)
        words = self._label(metric) if NOISY_ERROR in panel.metrics else label(metric)
        return words.replace(f" {metric.rpartition('_')[2]}", "", 1)

    def _label(self, metric: str) -> str:
        return str(self.frame.loc[self.frame["metric"] == metric, "label"].iloc[0])

    def _is_split(self, panel: PanelPart) -> bool:
        """Whether the metrics of a panel are one quantity, on training and on test examples."""
        return len(panel.metrics) > 1 and len(self._quantities(panel)) == 1

    def _quantities(self, panel: PanelPart) -> list[str]:
        return list(self.frame.loc[self.frame["metric"].isin(panel.metrics), "quantity"].unique())

    def _rows(self, metric: str, curve: Series, kind: str = "simulation") -> pd.DataFrame:
        chosen = (self.frame["metric"] == metric) & (self.frame["curve"] == curve.label) & (self.frame["kind"] == kind)
        return self.frame[chosen]

    def _panel(self, panel: PanelPart, is_first: bool) -> Panel:
        marks: list[Mark] = [*self._rules, *self._levels(panel)]
        for place, metric in enumerate(panel.metrics):
            for curve in self._curves:
                marks += self._marks(panel, metric, curve, place)
        marks += self._end_labels(panel) if is_first and self._is_labelled else self._peaks(panel)
        return Panel(self._y_axis(panel), marks)

    def _marks(self, panel: PanelPart, metric: str, curve: Series, place: int) -> Iterator[Mark]:
        rows, theory = (self._rows(metric, curve, kind) for kind in ("simulation", "theory"))
        series, x = self._series(panel, metric, curve), positions(rows, self._columns)
        if (rows["seeds"] > 1).any():
            yield Band(x, values(rows["low"]), values(rows["high"]), series)
        if self.middle == "mean" and (rows["seeds"] >= FEWEST_SEEDS).all():
            yield Bars(x, values(rows["mean"] - rows["sem"]), values(rows["mean"] + rows["sem"]), series)
        if len(theory):
            yield Dots(x, values(rows["middle"]), series)
            dark = Series(series.label, darker(series.color), series.value)
            yield Line(positions(theory, self._columns), values(theory["middle"]), dark, width=1.0)
        else:
            yield Line(x, values(rows["middle"]), series, DASHES[min(place, 2)], self._marker if place == 0 else "")

    def _end_labels(self, panel: PanelPart) -> Iterator[Note]:
        for curve in self._curves:
            if (last := self._end(panel, curve)) is not None:
                yield Note(self._at(last), float(last["middle"]), curve.label, curve)

    def _peaks(self, panel: PanelPart) -> Iterator[Note]:
        """Yield a note at the peak of a lone curve, where it has a clear one and no theory says what it is."""
        if len(self._curves) > 1 or "theory" in set(self.frame["kind"]):
            return
        metric, (curve,) = panel.metrics[0], self._curves
        rows = self._rows(metric, curve)
        peak = clear_peak(rows)
        if peak is not None and is_highest(rows, peak):
            height, series = float(rows.loc[peak, "middle"]), self._series(panel, metric, curve)
            yield Note(self._at(rows.loc[peak]), height, number(metric, height), series, "above")

    def _at(self, row: pd.Series) -> dict[str, float]:
        return {column: float(row[column]) for column in self._columns}

    @cached_property
    def _rules(self) -> list[Rule]:
        """Where the interpolation threshold is: as it is known; else as measured, and where there is a parameter a target."""
        if self.threshold is not None:
            return [Rule({self.x[0].column: self.threshold}, Series("threshold", GREY))]
        rules = []
        for column, text in UNITY.items():
            if column in self._columns and self.frame[column].min() <= 1 <= self.frame[column].max():
                rules.append(Rule({column: 1.0}, Series(text, GREY), "dashed"))
        if len(self._curves) == 1:
            rows = self._rows("train_error", self._curves[0])
            reached = interpolation_threshold(rows)
            if reached is not None:
                rules.append(Rule(self._at(rows.loc[reached]), Series("train error 0", GREY)))
        return rules

    def _levels(self, panel: PanelPart) -> list[Reference]:
        return [
            Reference(float(value), Series(name, GREY), DASHES[min(place, 2)])
            for place, (name, value) in enumerate(panel.levels.items())
        ]

    def _ends(self, panel: PanelPart) -> tuple[float, float]:
        """Return the ends of the vertical axis of a panel."""
        first, *others = panel.metrics
        simulation = self.frame[self.frame["kind"] == "simulation"]
        main = simulation.loc[simulation["metric"] == first, ["middle", "low", "high"]]
        must = [*main.to_numpy().flat, *panel.levels.values()]
        low, high = limits(panel.y_scale, must, simulation.loc[simulation["metric"].isin(others), "middle"])
        return (low if panel.y_min is None else panel.y_min), high

    def _y_axis(self, panel: PanelPart) -> Axis:
        low, high = self._ends(panel)
        quantities = self._quantities(panel)
        first = panel.metrics[0]
        alone = self._label(first) if is_share(first) else named(first, quantities[0])
        text = alone if len(panel.metrics) == 1 else " / ".join(quantities)
        is_percent = all(is_share(metric) for metric in panel.metrics)
        return Axis(text, "", panel.y_scale, low, high, is_percent)

    @property
    def _marker(self) -> Marker | Literal[""]:
        """What marks a point of a curve: nothing where they would hide it."""
        return "circle" if self.frame[self._columns[0]].nunique() <= MOST_MARKED else ""

    def _legend_of_curves(self) -> Iterator[Line | Dots]:
        """Yield samples of what tells metrics apart, and of curves that are not named at their ends."""
        panel = max(self.panels, key=lambda panel: len(panel.metrics))
        alone = len(self._curves) == 1
        for place, metric in enumerate(panel.metrics if len(panel.metrics) > 1 else ()):
            series = self._series(panel, metric, self._curves[0]) if alone else Series(self._name(panel, metric), GREY)
            yield Line({}, (), series, DASHES[min(place, 2)], self._marker if place == 0 else "")
        if not alone and not self._is_labelled:
            yield from (Line({}, (), curve, marker=self._marker) for curve in self._curves)

    def _legend_of_theory(self) -> Iterator[Line | Dots]:
        if "theory" not in set(self.frame["kind"]):
            return
        median = median_deviation(self.frame)
        name = f"theory (median deviation {100 * median:.1f} %)" if np.isfinite(median) else "theory"
        yield Dots({}, (), Series(f"{self.middle} of seeds" if self.frame["seeds"].max() > 1 else "one seed", GREY))
        yield Line({}, (), Series(name, GREY), width=1.0)
