"""Where a metric along sizes crosses a level: the interpolation threshold, effective model complexity.

Nakkiran et al. 2020, definition 1: the effective model complexity of a training procedure is the largest number of examples n at
which its mean train error is at most some epsilon. The mean over seeds is measured at few n, with noise. It is fitted by the
monotone curve of least squares (isotonic regression: pool adjacent violators, Barlow et al. 1972), which crosses the level once;
between points it is a straight line in log n. Likewise along widths: the least width whose train error is at most epsilon.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ddlab.errors import ConfigError
from ddlab.report.columns import require
from ddlab.report.crossings import ROUNDING, Level
from ddlab.report.intervals import Interval, interval_of
from ddlab.report.metric_rows import metric_rows
from ddlab.report.sample import Sample
from ddlab.store.results import Results

# Levels of a metric at the end of training.
FINAL_KINDS = ("at_most", "at_least", "falls_to")


@dataclass(frozen=True)
class Crossing:
    """Where the mean over seeds crosses a level.

    Attributes:
        at: the x; nan where it is not known.
        beyond: "<" it is less than the least x, ">" greater than the greatest; "": it is known.
        interval: how far it is known from its seeds.
        bracket: the points beside it; where it is not known, the least and the greatest x.
    """

    at: float
    beyond: str
    interval: Interval
    bracket: tuple[float, float]

    @property
    def bound(self) -> float:
        """What is known of the x: itself, or the end of the points that it lies beyond."""
        return {"": self.at, "<": self.bracket[0], ">": self.bracket[1]}[self.beyond]


def level_rows(
    results: Results, where: Mapping[str, Any], level: Level, by: Sequence[str], option: str = "metric"
) -> tuple[pd.DataFrame, Level]:
    """Return the rows of `metric_rows` at each `by`, and the level that their metric is held against.

    With `falls_to` the metric is a share of the trial's own at its first eval point; `option` names what asks for it.

    Raises:
        ConfigError: as of `metric_rows`; or the first of `by` is not greater than 0, and has no logarithm.
    """
    require(results.curves, level.metric, option)
    rows = metric_rows(results, where, level.metric, by)
    if (rows[by[0]] <= 0).any():
        raise ConfigError(f"x={by[0]}: must be greater than 0, as it has a log scale")
    if level.kind != "falls_to":
        return rows, level
    first = results.curves.dropna(subset=level.metric).sort_values("step").groupby("trial_id")[level.metric].first()
    share = rows[level.metric] / rows["trial_id"].map(first)
    return rows.assign(**{level.metric: share}), Level(level.metric, "at_most", level.value)


def fit(y: np.ndarray, rising: bool) -> np.ndarray:
    """Return the monotone curve of least squares through values: [P] -> [P]."""
    from scipy.optimize import isotonic_regression  # takes a while; most reports need none

    return np.asarray(isotonic_regression(y, increasing=rising).x)


def rises(level: Level, up_to: bool) -> bool:
    """Return whether a metric that holds a level up to some x, else from some x on, rises with x."""
    return (level.kind == "at_most") == up_to


def holds_up_to(y: np.ndarray, level: Level) -> bool:
    """Return whether a metric [P] along x holds a level up to some x, rather than from some x on: which fits better."""
    y = y[np.isfinite(y)]
    error = {up_to: float(np.square(fit(y, rises(level, up_to)) - y).sum()) for up_to in (False, True)}
    return error[True] < error[False]


def crossing_at(x: np.ndarray, y: np.ndarray, level: Level, up_to: bool) -> float:
    """Return the x at which the monotone fit of a metric crosses a level.

    Args:
        x: [P] ascending, greater than 0.
        y: [P] the metric; nan: not measured there.
        level: at_most or at_least.
        up_to: the level holds up to the crossing, and the greatest such x is meant; else it holds from there on, the least.

    Returns:
        It; -inf where it is less than all x, inf where it is greater; nan where nothing was measured.
    """
    there = np.isfinite(y)
    if not there.any():
        return math.nan
    excess = (fit(y[there], rises(level, up_to)) - level.value) * (1 if level.kind == "at_most" else -1)
    log_x, excess = (values if up_to else values[::-1] for values in (np.log(x[there]), excess))
    holding = int((excess <= ROUNDING).sum())  # from the first on, as the fit is monotone
    if holding in (0, len(excess)):
        return math.inf if (holding > 0) == up_to else -math.inf
    below, above = max(-excess[holding - 1], 0.0), excess[holding]
    last, following = log_x[holding - 1], log_x[holding]
    return math.exp(last + (following - last) * below / (below + above))


def crossings_at(x: np.ndarray, y: np.ndarray, level: Level, up_to: bool) -> np.ndarray:
    """Return where each of B curves crosses a level, as `crossing_at` does: x [P], y [B, P] -> [B]."""
    return np.array([crossing_at(x, curve, level, up_to) for curve in y])


def crossing_of(sample: Sample, level: Level, up_to: bool) -> Crossing:
    """Return where the mean of a sample along x, its points, crosses a level; no interval where that is beyond the points."""
    points = sample.points

    def numbers(weights: np.ndarray) -> np.ndarray:
        return crossings_at(points, sample.means(weights), level, up_to)

    (at,) = numbers(np.ones((1, sample.factors.shape[1])))
    if not math.isfinite(at):
        beyond = {-math.inf: "<", math.inf: ">"}.get(at, "")
        return Crossing(math.nan, beyond, Interval(), (float(points[0]), float(points[-1])))
    above = min(max(int(np.searchsorted(points, at)), 1), len(points) - 1)
    return Crossing(float(at), "", interval_of(sample, numbers), (float(points[above - 1]), float(points[above])))
