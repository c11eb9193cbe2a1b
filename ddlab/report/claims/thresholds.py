"""A claim on where a metric peaks relative to where another crosses a level."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ddlab.errors import ConfigError
from ddlab.report.claims.base import NotEnoughData
from ddlab.report.claims.curves import Curves, PeakLocation
from ddlab.report.claims.steps import level_of
from ddlab.report.columns import label
from ddlab.report.crossings import Level
from ddlab.report.isotonic import FINAL_KINDS, crossing_at, crossings_at, holds_up_to, level_rows
from ddlab.report.options import option
from ddlab.report.sample import Sample
from ddlab.store.results import Results

# Where the points of both curves lie: those of the metric at x, those of the level at -x.
PLACE = "place"

# That of an excess.
HELD = Level("excess", "at_most", 0.0)


@dataclass(frozen=True, kw_only=True)
class LocationRatio(PeakLocation):
    """The `x` at which the metric peaks over that at which another one crosses a level.

    Along widths with over: {metric: train_error, at_most: 0.1} that is the width of the peak in units of the threshold width, at
    which the effective model complexity (Nakkiran et al. 2020, definition 1) is the number of examples.
    """

    over: Mapping[str, Any] = option("what crosses a level: a metric and a level of it, {metric: train_error, at_most: 0.1}")

    def check(self, name: str) -> None:
        super().check(name)
        level_of(f"claims.{name}.over", self.over, FINAL_KINDS)
        if self.level is not None or self.best_over:
            raise ConfigError(f"claims.{name}: location_ratio takes a level in over: alone, and no best_over")

    def _says(self) -> str:
        return f"{label(self.x)} at which {self.what} peaks over that at which {level_of('over', self.over, FINAL_KINDS)}"

    def rows(self, results: Results) -> pd.DataFrame:
        """Return the rows of the metric, and those of the level, whose metric is its excess: at most 0 where the level holds."""
        peaks = super().rows(results)
        wanted = level_of("over", self.over, FINAL_KINDS)
        crossed, level = level_rows(results, self.where, wanted, [self.x], "over.metric")
        sign = 1 if level.kind == "at_most" else -1
        crossed = crossed.assign(**{self.metric: sign * (crossed[level.metric] - level.value)}).dropna(subset=self.metric)
        if set(peaks[self.x]) != set(crossed[self.x]):
            raise NotEnoughData(f"{self.metric} and {level.metric} have other values of {self.x}")
        x, excess = np.array(crossed.groupby(self.x)[self.metric].mean().reset_index()).T
        if not np.isfinite(crossing_at(x, excess, HELD, holds_up_to(excess, HELD))):
            where = "every" if excess.mean() < 0 else "no"
            raise NotEnoughData(f"{wanted} at {where} {label(self.x)} from {x[0]:g} to {x[-1]:g}")
        sides = [peaks.assign(**{PLACE: peaks[self.x]}), crossed.assign(**{PLACE: -crossed[self.x]})]
        return pd.concat(sides, join="inner", ignore_index=True)  # an ensemble has no seed of its members

    @property
    def point(self) -> str:
        return PLACE

    def numbers(self, sample: Sample, weights: np.ndarray) -> np.ndarray:
        x = sample.points[sample.points > 0]
        of_level, of_metric = np.split(sample.means(np.concatenate([np.ones_like(weights[:1]), weights])), 2, axis=1)
        whole, *excess = of_level[:, ::-1]  # from the least x on
        crossed = crossings_at(x, np.array(excess), HELD, holds_up_to(whole, HELD))
        return self._of_means(Curves(x, of_metric[1:])) / np.where(np.isfinite(crossed), crossed, np.nan)
