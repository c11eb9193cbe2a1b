"""Claims on curves: a metric averaged over seeds as a function of size, data or time."""

from __future__ import annotations

import abc
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from ddlab.report.claims.against import SIDE, Against
from ddlab.report.claims.base import NotEnoughData
from ddlab.report.claims.timed import Timed
from ddlab.report.columns import label
from ddlab.report.crossings import crossings
from ddlab.report.options import option
from ddlab.report.sample import Sample
from ddlab.report.slopes import slopes
from ddlab.report.theories import THEORIES, check_theory, predicted_at
from ddlab.store.results import Results

# The column of two curves that counts their points: those of the first, then those of the other.
PLACE = "place"


@dataclass(frozen=True, eq=False)
class Curves:
    """B curves over the same P points.

    Attributes:
        x: [P] ascending.
        y: [B, P]; nan: a gap.
    """

    x: np.ndarray
    y: np.ndarray

    @cached_property
    def peak(self) -> np.ndarray:
        """[B] position of the value that stands out most above the least before it and the least after it; -1: none does."""
        before, after = self._least
        prominence = self.y - np.maximum(before, after)
        position = prominence.argmax(axis=1)  # of a gap, where there is one
        return np.where(self._at(position, prominence) > 0, position, -1)

    @property
    def height(self) -> np.ndarray:
        """[B] the value at the peak; nan where there is none, as in the three below."""
        return self._at(self.peak, self.y)

    @property
    def least_before(self) -> np.ndarray:
        """[B] the least value before the peak."""
        return self._at(self.peak, self._least[0])

    @property
    def least_after(self) -> np.ndarray:
        """[B] the least value after the peak."""
        return self._at(self.peak, self._least[1])

    @property
    def prominence(self) -> np.ndarray:
        """[B] how much the peak stands out above the greater of the least values beside it; 0 where there is none; nan: a gap."""
        return (self.y - np.maximum(*self._least)).max(axis=1)

    def x_at(self, position: np.ndarray) -> np.ndarray:
        """Return [B] the x at a position in each curve; nan where it has no peak."""
        return np.where(self.peak >= 0, self.x[position], np.nan)

    @cached_property
    def _least(self) -> tuple[np.ndarray, np.ndarray]:
        """[B, P] the least value up to each point, and from it on."""
        before = np.minimum.accumulate(self.y, axis=1)
        return before, np.minimum.accumulate(self.y[:, ::-1], axis=1)[:, ::-1]

    def _at(self, position: np.ndarray, values: np.ndarray) -> np.ndarray:
        return np.where(position >= 0, values[np.arange(len(values)), position], np.nan)


@dataclass(frozen=True, kw_only=True)
class _OfCurve(Timed):
    """A claim on the mean over seeds of a metric as a function of `x`; with a level, on the median step to it."""

    x: str = option('a column of the trials, "step", or "time" (learning rate x step)')
    best_over: str | None = option("a column of the trials; of its values the one of least mean is taken at each x", None)

    def rows(self, results: Results) -> pd.DataFrame:
        rows = self.measured(results, self.where, [self.x], self.best_over)
        if rows[self.x].nunique() < 3:
            raise NotEnoughData(f"a curve needs three values of {self.x}")
        return rows

    @property
    def point(self) -> str:
        return self.x

    def numbers(self, sample: Sample, weights: np.ndarray) -> np.ndarray:
        return self._of_means(Curves(sample.points, self.middle(sample, weights)))

    @abc.abstractmethod
    def _of_means(self, curves: Curves) -> np.ndarray:
        """Return the number of each of B mean curves: [B]."""


@dataclass(frozen=True, kw_only=True)
class PeakLocation(_OfCurve):
    """The `x` at which the metric peaks: rises to it, and falls after it."""

    def _says(self) -> str:
        return f"{self.what} peaks at {label(self.x)}"

    def _of_means(self, curves: Curves) -> np.ndarray:
        return curves.x_at(curves.peak)


@dataclass(frozen=True, kw_only=True)
class PeakHeight(_OfCurve):
    """The peak of the metric over the greater of the least values before and after it."""

    def _says(self) -> str:
        return f"peak of {self.what} over the minima beside it"

    def _of_means(self, curves: Curves) -> np.ndarray:
        return curves.height / np.maximum(curves.least_before, curves.least_after)


@dataclass(frozen=True, kw_only=True)
class Prominence(_OfCurve):
    """The peak of the metric less the greater of the least values before and after it; 0 where there is none.

    It is biased upwards: the noise of the seeds makes small peaks.
    """

    def _says(self) -> str:
        return f"height of the peak of {self.what} along {label(self.x)} above the minima beside it"

    def _of_means(self, curves: Curves) -> np.ndarray:
        return curves.prominence


@dataclass(frozen=True, kw_only=True)
class HeightDifference(Against, Prominence):
    """That height less another: below 0, this peak is the lower one, or has gone; nan where there is neither.

    Both curves have points at the same `x`.
    """

    def _says(self) -> str:
        return f"{super()._says()}, less {self.other_words('that of ')}"

    def side(self, results: Results) -> pd.DataFrame:
        return Prominence.rows(self, results)

    def rows(self, results: Results) -> pd.DataFrame:
        rows = super().rows(results)
        first, other = (sorted(points.unique()) for _, points in rows.groupby(SIDE)[self.x])
        if first != other:
            raise NotEnoughData(f"the two curves have other values of {self.x}")
        return rows.assign(**{PLACE: rows[SIDE] * len(first) + np.searchsorted(first, rows[self.x])})

    @property
    def point(self) -> str:
        return PLACE

    def numbers(self, sample: Sample, weights: np.ndarray) -> np.ndarray:
        first, other = (Curves(np.arange(y.shape[1]), y) for y in np.split(self.middle(sample, weights), 2, axis=1))
        own, taken_off = self._of_means(first), self._of_means(other)
        return np.where((own > 0) | (taken_off > 0), own - taken_off, np.nan)


@dataclass(frozen=True, kw_only=True)
class SecondDescent(_OfCurve):
    """By which fraction the metric falls from its peak to the least value beyond it."""

    def _says(self) -> str:
        return f"fraction by which {self.what} falls beyond its peak"

    def _of_means(self, curves: Curves) -> np.ndarray:
        return 1 - curves.least_after / curves.height


@dataclass(frozen=True, kw_only=True)
class SecondOverFirst(_OfCurve):
    """The least value of the metric beyond its peak over the least before it: below 1, the second descent ends lower."""

    def _says(self) -> str:
        return f"least {self.what} beyond its peak over the least before it"

    def _of_means(self, curves: Curves) -> np.ndarray:
        return curves.least_after / curves.least_before


@dataclass(frozen=True, kw_only=True)
class ClassicalMinimum(_OfCurve):
    """The `x` at which the metric is least before its peak."""

    def _says(self) -> str:
        return f"{self.what} is least before its peak at {label(self.x)}"

    def _of_means(self, curves: Curves) -> np.ndarray:
        before = np.where(np.arange(len(curves.x)) < curves.peak[:, None], curves.y, np.inf)
        return curves.x_at(before.argmin(axis=1))


@dataclass(frozen=True, kw_only=True)
class LastOverLeast(_OfCurve):
    """The metric at the largest `x` over the least one: how much worse than the best it ends, such as by overtraining.

    Along steps the last may be a spike of training, which the median of several points leaves out.
    """

    points: int = option("of so many points at the largest x the median is taken", 1, low=1)

    def _says(self) -> str:
        last = f"median of the last {self.points} points of" if self.points > 1 else "last"
        return f"{last} {self.what} over the least along {label(self.x)}"

    def _of_means(self, curves: Curves) -> np.ndarray:
        return np.median(curves.y[:, -self.points :], axis=1) / curves.y.min(axis=1)


@dataclass(frozen=True, kw_only=True)
class Monotone(_OfCurve):
    """The largest step against the trend, relative to the value before: 0.02 is a rise of 2 % of a falling curve."""

    trend: str = option("which way the curve goes", "falling", choices=("falling", "rising"))

    def _says(self) -> str:
        return f"largest relative step of {self.what} against its {self.trend} trend in {label(self.x)}"

    def _of_means(self, curves: Curves) -> np.ndarray:
        rises = np.maximum(np.diff(curves.y if self.trend == "falling" else -curves.y, axis=1), 0)
        relative = np.where(rises == 0, 0.0, rises / np.abs(curves.y[:, :-1]))
        return relative.max(axis=1)  # nan where a mean is


@dataclass(frozen=True, kw_only=True)
class Slope(_OfCurve):
    """The slope of the straight line of least squares through the curve, both axes on log scales."""

    def _says(self) -> str:
        return f"slope of {self.what} against {label(self.x)}, both on log scales"

    def _of_means(self, curves: Curves) -> np.ndarray:
        return slopes(curves.x, curves.y)[0]


@dataclass(frozen=True, kw_only=True)
class MatchesTheory(_OfCurve):
    """The 90 % quantile over `x` of the relative deviation of the mean over seeds from a closed form, where that is finite.

    It is biased upwards, as the mean deviates by the noise of the seeds, too; its interval is corrected for that.
    """

    theory: str = option("name of the closed form")

    def check(self, name: str) -> None:
        super().check(name)
        check_theory(f"claims.{name}.theory", self.theory, self.metric, self.best_over)

    def _says(self) -> str:
        return f"90 % quantile of the deviation of {self.what} from {THEORIES[self.theory][1]}"

    def rows(self, results: Results) -> pd.DataFrame:
        """Return the rows, the metric being its relative deviation from the theory, where that is finite and not 0."""
        rows = super().rows(results)
        theory = self._theory(results, rows)
        defined = np.isfinite(theory) & (theory != 0)
        if self.level is not None and not defined.all():
            raise NotEnoughData(f"theory={self.theory}: gets to the level after trials have ended")
        if not defined.any():
            raise NotEnoughData(f"theory={self.theory}: is finite at no {self.x}")
        return rows.assign(**{self.metric: rows[self.metric] / np.where(defined, theory, 1) - 1})[defined]

    def _theory(self, results: Results, rows: pd.DataFrame) -> np.ndarray:
        """Return what the theory says of each row: the metric, or the eval step at which it gets to the level."""
        if self.level is None:
            return predicted_at(self.theory, self.metric, rows, [self.x])
        along = rows.drop(columns=self.metric).merge(results.curves[["trial_id", "step"]], on="trial_id")
        curves = along.assign(**{self.metric: predicted_at(self.theory, self.metric, along, [self.x, "step"])})
        found = crossings(replace(results, curves=curves), rows, self.level).set_index("trial_id")["t_first"]
        # One trial may have stopped before; another at this point goes on.
        return rows["trial_id"].map(found).groupby(rows[self.x]).transform("max").to_numpy(float)

    def _of_means(self, curves: Curves) -> np.ndarray:
        return np.quantile(np.abs(curves.y), 0.9, axis=1)
