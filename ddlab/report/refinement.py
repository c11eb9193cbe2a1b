"""Which values of an axis show more precisely where a metric crosses a level."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ddlab.errors import ConfigError
from ddlab.report.columns import label
from ddlab.report.crossings import KINDS, Level, make_level
from ddlab.report.isotonic import FINAL_KINDS, Crossing, crossing_of, holds_up_to, level_rows
from ddlab.report.options import check_options, option
from ddlab.report.sample import make_sample
from ddlab.store.results import Results


@dataclass(frozen=True, kw_only=True)
class Refinement:
    """More values of an axis of whole numbers, where the mean of a metric crosses a level and the interval of that is wide."""

    x: str = option("the axis, such as data.num_train or model.width")
    metric: str = option("column of the curves, at the last step of each trial", "train_error")
    at_most: float | None = option("its level", None)
    at_least: float | None = option("its level", None)
    falls_to: float | None = option("its level: a share of the value at the first eval point", None, above=0)
    interval: float = option("the interval of the crossing, relative to it, that is narrow enough", 0.1, above=0)
    points: int = option("most new values for one setting of the other axes; 0: no refinement", 4, low=0, high=1000)
    multiple: int = option("new values are multiples of this number", 1, low=1)

    @property
    def level(self) -> Level:
        """What is crossed."""
        level = make_level(self.metric, **{kind: getattr(self, kind) for kind in FINAL_KINDS})
        if level is None:
            raise ConfigError(f"refine: needs a level of {self.metric}, one of {', '.join(FINAL_KINDS)}")
        return level

    @property
    def why(self) -> str:
        """Where values are added, in words."""
        crossed = f"{label(self.metric)} crosses {self.level.value:g}{KINDS[self.level.kind][1]}"
        return f"where the {label(self.x)} at which {crossed} is not known within {100 * self.interval:g} %"

    def crossing(self, results: Results) -> Crossing:
        """Return where the metric crosses the level in the trials of one setting of the other axes."""
        rows, level = level_rows(results, {}, self.level, [self.x])
        sample = make_sample(rows, self.metric, self.x, results.seeds)
        (means,) = sample.means(np.ones((1, sample.factors.shape[1])))
        return crossing_of(sample, level, holds_up_to(means, level))

    def new_values(self, crossing: Crossing) -> list[int]:
        """Return the values that are to be run: spaced evenly in log x, inside the points beside the crossing and its interval.

        There are none where it lies beyond all points, or is known well enough. Of a single seed, which has no interval, or where
        the interval is of those seeds alone that cross the level, it is known to lie between the points beside it.
        """
        low, high = crossing.bracket
        interval = crossing.interval
        known = (interval.low, interval.high) if interval.low <= crossing.at <= interval.high else (low, high)
        if crossing.beyond or not math.isfinite(crossing.at) or known[1] - known[0] <= self.interval * crossing.at:
            return []
        low, high = min(low, known[0]), max(high, known[1])
        spaced = np.geomspace(low, high, self.points + 2)[1:-1]
        rounded = {round(value / self.multiple) * self.multiple for value in spaced}
        return sorted(value for value in rounded if low < value < high)


def make_refinement(options: Mapping[str, Any]) -> Refinement | None:
    """Return the refinement of a sweep from its `refine`; None: there is none.

    Raises:
        ConfigError: an unknown option, or one that is missing or not allowed; the line lists them.
    """
    if not options:
        return None
    check_options("refine", "refine", Refinement, options)
    refinement = Refinement(**options)
    assert refinement.level
    return refinement if refinement.points else None
