"""The caption of a figure of curves: what is shown, and the measured numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ddlab.report.charts import Axis
from ddlab.report.charts.limits import can_show
from ddlab.report.columns import label, number, place
from ddlab.report.ensembles import EXAMPLES
from ddlab.report.figures.curve_chart import median_deviation
from ddlab.report.figures.curve_parts import PanelPart
from ddlab.report.figures.peaks import clear_peak, interpolates_at_first, interpolation_threshold, stays_zero
from ddlab.report.intervals import FEWEST_SEEDS
from ddlab.report.theories import THEORIES


@dataclass(frozen=True)
class CurveCaption:
    """What a caption speaks of.

    Attributes:
        frame: of all curves and metrics (`CurveRows.frame`).
        x: the horizontal axis, as it is shown at first.
        panels: from top to bottom.
        group: what the groups are; empty: there are none.
        threshold: where on x the interpolation threshold is, if that is known.
        middle: "mean" or "median" over seeds: what is drawn.
        theories: names of those that are shown.
        stops: where the trials of curves are taken, but at their last step: the name of a curve, or "", -> in words.
    """

    frame: pd.DataFrame
    x: Axis
    panels: Sequence[PanelPart]
    group: str
    threshold: float | None
    middle: str
    theories: Sequence[str]
    stops: Mapping[str, str]

    def text(self, selection: str) -> str:
        """Return the caption.

        Args:
            selection: which trials are shown, in words.
        """
        shown = f"{self._metrics} against {self.x.label}{selection}: {self._seeds}."
        about = (self._ensembles, self._stopped, self._theory, self._known_threshold, self._levels, self._findings, self._without)
        return " ".join(filter(None, [shown, *about]))

    @property
    def _simulation(self) -> pd.DataFrame:
        return self.frame[self.frame["kind"] == "simulation"]

    @property
    def _metrics(self) -> str:
        return ", ".join(self._simulation["label"].unique())

    @property
    def _seeds(self) -> str:
        seeds = self._simulation["seeds"]
        low, high = int(seeds[seeds > 0].min()), int(seeds.max())
        if high <= 1:
            return "one seed"
        seeds = f"{high:,} seeds" if low == high else f"{low:,} to {high:,} seeds"
        if low >= FEWEST_SEEDS:
            error = " with its standard error" if self.middle == "mean" else ""
            return f"{self.middle} of {seeds}{error}; band: the middle 80 % of the seeds"
        beyond = f", of {FEWEST_SEEDS} or more the middle 80 %" if high >= FEWEST_SEEDS else ""
        return f"{self.middle} of {seeds}; band: from the lowest seed to the highest{beyond}"

    @property
    def _ensembles(self) -> str:
        """At how many test examples ensembles are measured: others are at all of them."""
        if EXAMPLES not in self.frame:
            return ""
        rows = self._simulation.dropna(subset=EXAMPLES)
        low, high = int(rows[EXAMPLES].min()), int(rows[EXAMPLES].max())
        examples = f"{low:,}" if low == high else f"{low:,} to {high:,}"
        return f"{' and '.join(rows['label'].unique())}: at {examples} test examples, whose predictions are stored."

    @property
    def _stopped(self) -> str:
        return " ".join(f"{f'{name}: each' if name else 'Each'} trial {where}." for name, where in self.stops.items())

    @property
    def _theory(self) -> str:
        if not self.theories:
            return ""
        median = median_deviation(self.frame)
        deviates = f"; median relative deviation of the means {100 * median:.2f} %" if np.isfinite(median) else ""
        return f"Lines: {', '.join(dict.fromkeys(THEORIES[name][1] for name in self.theories))}{deviates}."

    @property
    def _known_threshold(self) -> str:
        return "" if self.threshold is None else f"Dotted: the interpolation threshold, {self.threshold:g}."

    @property
    def _levels(self) -> str:
        levels = {name: number(panel.metrics[0], value) for panel in self.panels for name, value in panel.levels.items()}
        return f"Horizontal: {', '.join(f'{name}, {value}' for name, value in levels.items())}." if levels else ""

    @property
    def _without(self) -> str:
        """The curves that a panel cannot show, as a metric has no value there."""
        every = list(dict.fromkeys(self._simulation["curve"]))
        found = []
        scales = {metric: panel.y_scale for panel in self.panels for metric in panel.metrics}
        for metric, scale in scales.items():
            rows = self._simulation[self._simulation["metric"] == metric]
            there = set(rows.loc[can_show(scale, rows["middle"]), "curve"])
            if missing := [f"{self.group} {curve}".strip() for curve in every if curve not in there]:
                positive = " above 0" if scale == "log" else ""
                found.append(f"{label(metric)} at {', '.join(missing)} (no value{positive})")
        return f"Not shown: {'; '.join(found)}." if found and len(every) > 1 else ""

    @property
    def _findings(self) -> str:
        """Where a lone curve peaks, and interpolates; of several, or beside a theory, the highest mean."""
        if self.theories or len(set(self.frame["curve"])) > 1:
            return self._highest
        found = [self._peak(panel.metrics[0]) for panel in self.panels]
        train = self._simulation[self._simulation["metric"] == "train_error"]
        if len(train):
            reached = interpolation_threshold(train)
            zero = "never is zero"
            if reached is not None:
                at = place(train.loc[reached, self.x.column])
                later = f"is zero from {at} on" if stays_zero(train) else f"reaches zero at {at}"
                zero = f"is zero up to {at}" if interpolates_at_first(train) else later
            found.append(f"train error {zero}")
        return f"Measured: {', '.join(found)}."

    @property
    def _highest(self) -> str:
        first = self.panels[0].metrics[0]
        rows = self._simulation[self._simulation["metric"] == first]
        top = rows.loc[rows["middle"].idxmax()]
        named = f" ({self.group + ' ' if self.group else ''}{top['curve']})" if top["curve"] else ""
        return f"Highest {self.middle}: {number(first, top['middle'])} at {place(top[self.x.column])}{named}."

    def _peak(self, metric: str) -> str:
        rows = self._simulation[self._simulation["metric"] == metric]
        peak = clear_peak(rows)
        if peak is None:
            return f"{label(metric)} has no clear interior peak"
        before, top, after = rows.loc[:peak, "middle"].min(), rows.loc[peak], rows.loc[peak:, "middle"].min()
        return (
            f"{label(metric)} rises from {number(metric, before)} to {number(metric, top['middle'])}"
            f" at {place(top[self.x.column])} and falls to {number(metric, after)}"
        )
