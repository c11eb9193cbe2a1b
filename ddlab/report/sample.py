"""A metric at points, measured with some seeds, and its means and medians when the seeds count differently."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from ddlab.report.survival import quantile

Numbers = Callable[[np.ndarray], np.ndarray]

CENSORED = "censored"

# Most weights held at once, 8 bytes each.
MOST_WEIGHTS = 2**22


@dataclass(frozen=True, eq=False)
class Sample:
    """R values of a metric, each at one of P points and of one of U combinations of seeds.

    Attributes:
        points: [P] values of the column that tells points apart, ascending; [0] where none does.
        values: [R] the metric; nan where it is missing.
        point: [R] index of the point of each value.
        unit: [R] index of the combination of seeds of each value.
        censored: [R] bool: the value is known to be greater only, such as the step at which something happened.
        factors: [F, U] level of each seed that varies on its own, in each combination; seeds that vary together are one.
    """

    points: np.ndarray
    values: np.ndarray
    point: np.ndarray
    unit: np.ndarray
    censored: np.ndarray
    factors: np.ndarray

    @cached_property
    def levels(self) -> list[int]:
        """How many levels each factor has."""
        return [int(factor.max()) + 1 for factor in self.factors]

    @cached_property
    def fewest(self) -> int:
        """The least number of levels of a factor that any point has a value of."""
        there = ~np.isnan(self.values)
        seen = [(self.point[there], factor[self.unit[there]]) for factor in self.factors]
        counts = [np.bincount(np.unique(np.stack(pair), axis=1)[0], minlength=len(self.points)).min() for pair in seen]
        return int(min(counts, default=1))

    def means(self, weights: np.ndarray) -> np.ndarray:
        """Return the mean at each point, each value counted as often as weights [B, U] say: [B, P]; nan where there is none."""
        sums = weights @ self._table(np.where(np.isfinite(self.values), self.values, 0.0))
        above, below = (weights @ self._table(self.values == infinite) > 0 for infinite in (np.inf, -np.inf))
        sums = np.select([above & below, above, below], [np.nan, np.inf, -np.inf], sums)
        with np.errstate(divide="ignore", invalid="ignore"):
            return sums / (weights @ self._table(~np.isnan(self.values)))

    def medians(self, weights: np.ndarray) -> np.ndarray:
        """Return the median at each point, each value counted as often as weights [B, U] say: [B, P]; nan where there is none.

        Of values that are censored it is Kaplan and Meier's; inf where it is greater than all that is known.
        """
        return np.stack([self._medians_at(point, weights) for point in range(len(self.points))], axis=1)

    def least(self) -> Sample:
        """Return the sample with each censored value at the least that it can be."""
        return replace(self, censored=np.zeros_like(self.censored))

    def evaluate(self, numbers: Numbers, rows: int, weigh: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Return the numbers [rows] of as many weightings, made a block at a time, so that few of them are held at once.

        Args:
            numbers: weights [B, U] -> [B].
            rows: how many weightings.
            weigh: indices of weightings [B] -> their weights [B, U].
        """
        step = max(1, MOST_WEIGHTS // self.factors.shape[1])
        blocks = np.split(np.arange(rows), range(step, rows, step))
        return np.concatenate([numbers(weigh(block).astype(float)) for block in blocks])

    def _table(self, values: np.ndarray) -> np.ndarray:
        """Return the sum of values of each combination of seeds at each point: [U, P]."""
        shape = self.factors.shape[1], len(self.points)
        return np.bincount(self.unit * shape[1] + self.point, weights=values, minlength=shape[0] * shape[1]).reshape(shape)

    def _medians_at(self, point: int, weights: np.ndarray) -> np.ndarray:
        rows = np.flatnonzero((self.point == point) & ~np.isnan(self.values))
        return quantile(self.values[rows], self.censored[rows], 0.5, weights[:, self.unit[rows]])


def make_sample(rows: pd.DataFrame, metric: str, point: str | None, seeds: Sequence[str]) -> Sample:
    """Return the sample of a metric.

    Args:
        rows: with the metric, the columns of the seeds and that of the points; where they have a column `CENSORED`, it says which
            values are known to be greater only.
        metric: its column.
        point: the column that tells points apart; None: there is one point.
        seeds: the columns of seeds.
    """
    # A seed of which each point has one value is what makes the points differ: it tells no draws apart.
    by_point = rows.groupby(point, dropna=False) if point else None
    varied_within = [column for column in seeds if column in rows and (by_point is None or by_point[column].nunique().max() > 1)]
    of_seeds = [pd.factorize(rows[column], sort=True)[0] for column in varied_within]
    columns = np.stack([*of_seeds, np.zeros(len(rows), int)])
    units, unit = np.unique(columns, axis=1, return_inverse=True)
    varied = list(dict.fromkeys(tuple(pd.factorize(levels)[0]) for levels in units if np.ptp(levels) > 0))
    points, at = np.unique(rows[point] if point else np.zeros(len(rows), int), return_inverse=True)
    factors = np.array(varied, int).reshape(len(varied), units.shape[1])
    censored = rows[CENSORED].to_numpy(bool) if CENSORED in rows else np.zeros(len(rows), bool)
    return Sample(points, rows[metric].to_numpy(float), at, unit.reshape(-1), censored, factors)
