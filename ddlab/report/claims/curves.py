"""Claims on curves: a metric averaged over seeds as a function of size, data or time."""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ddlab.errors import ConfigError
from ddlab.report.claims.base import Claim, NotEnoughData
from ddlab.report.frames import label
from ddlab.report.metric_rows import metric_rows
from ddlab.report.theories import THEORIES, check_theory, deviation, predicted
from ddlab.store import Results


@dataclass(frozen=True, kw_only=True)
class _OfCurve(Claim):
    """A claim on a metric as a function of `x`: a column of the trials, "step", or "time" (learning rate x step).

    Options:
        x: the column.
        best_over: a column of the trials, such as optimizer.weight_decay; of its values the one of least mean is taken at each x.
    """

    x: str
    best_over: str | None = None

    def rows(self, results: Results) -> pd.DataFrame:
        rows = metric_rows(results, self.where, self.metric, [self.x], self.best_over)
        if rows[self.x].nunique() < 3:
            raise NotEnoughData(f"a curve needs three values of {self.x}")
        return rows

    @property
    def reads(self) -> list[str]:
        return [self.metric, self.x]


@dataclass(frozen=True, kw_only=True)
class _OfMeans(_OfCurve):
    """A claim on the mean over seeds as a function of `x`."""

    def number(self, rows: pd.DataFrame) -> float:
        return self._of_means(rows.groupby(self.x)[self.metric].mean())

    @abc.abstractmethod
    def _of_means(self, means: pd.Series) -> float: ...


def most_prominent(means: pd.Series) -> int | None:
    """Return the position of the value that stands out most: above the least before it and the least after it."""
    values = means.to_numpy(float)
    before, after = np.minimum.accumulate(values), np.minimum.accumulate(values[::-1])[::-1]
    prominence = values - np.maximum(before, after)
    position = int(np.argmax(prominence))
    return position if prominence[position] > 0 else None


@dataclass(frozen=True, kw_only=True)
class PeakLocation(_OfMeans):
    """The `x` at which the metric peaks: rises to it, and falls after it."""

    def _says(self) -> str:
        return f"{label(self.metric)} peaks at {label(self.x)}"

    def _of_means(self, means: pd.Series) -> float:
        peak = most_prominent(means)
        return math.nan if peak is None else float(means.index[peak])


@dataclass(frozen=True, kw_only=True)
class PeakHeight(_OfMeans):
    """The peak of the metric over the greater of the least values before and after it."""

    def _says(self) -> str:
        return f"peak of {label(self.metric)} over the minima beside it"

    def _of_means(self, means: pd.Series) -> float:
        peak = most_prominent(means)
        return math.nan if peak is None else float(means.iloc[peak] / max(means.iloc[:peak].min(), means.iloc[peak:].min()))


@dataclass(frozen=True, kw_only=True)
class SecondDescent(_OfMeans):
    """By which fraction the metric falls from its peak to the least value beyond it."""

    def _says(self) -> str:
        return f"fraction by which {label(self.metric)} falls beyond its peak"

    def _of_means(self, means: pd.Series) -> float:
        peak = most_prominent(means)
        return math.nan if peak is None else float(1 - means.iloc[peak:].min() / means.iloc[peak])


@dataclass(frozen=True, kw_only=True)
class ClassicalMinimum(_OfMeans):
    """The `x` at which the metric is least before its peak."""

    def _says(self) -> str:
        return f"{label(self.metric)} is least before its peak at {label(self.x)}"

    def _of_means(self, means: pd.Series) -> float:
        peak = most_prominent(means)
        return math.nan if peak is None else float(means.iloc[:peak].idxmin())


@dataclass(frozen=True, kw_only=True)
class LastOverLeast(_OfMeans):
    """The metric at the largest `x` over the least one: how much worse than the best it ends, such as by overtraining."""

    def _says(self) -> str:
        return f"last {label(self.metric)} over the least along {label(self.x)}"

    def _of_means(self, means: pd.Series) -> float:
        return float(means.iloc[-1] / means.min())


@dataclass(frozen=True, kw_only=True)
class Monotone(_OfMeans):
    """The largest step against the trend, relative to the value before: 0.02 is a rise of 2 % of a falling curve.

    Options:
        trend: "falling" or "rising".
    """

    trend: str = "falling"

    def check(self, name: str) -> None:
        super().check(name)
        if self.trend not in ("falling", "rising"):
            raise ConfigError(f"claims.{name}.trend={self.trend}: must be falling or rising")

    def _says(self) -> str:
        return f"largest relative step of {label(self.metric)} against its {self.trend} trend in {label(self.x)}"

    def _of_means(self, means: pd.Series) -> float:
        values = means.to_numpy(float) if self.trend == "falling" else -means.to_numpy(float)
        rises = np.maximum(np.diff(values), 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = np.where(rises == 0, 0.0, rises / np.abs(values[:-1]))
        return float(relative.max())  # nan where a mean is


@dataclass(frozen=True, kw_only=True)
class MatchesTheory(_OfCurve):
    """The 90 % quantile over `x` of the relative deviation of the mean over seeds from a closed form, where that is finite.

    Its interval lies above it: what is drawn again deviates by its own noise, too.

    Options:
        theory: name of the closed form.
    """

    theory: str

    def check(self, name: str) -> None:
        super().check(name)
        check_theory(f"claims.{name}.theory", self.theory, self.metric, self.best_over)

    def _says(self) -> str:
        return f"90 % quantile of the deviation of {label(self.metric)} from {THEORIES[self.theory][1]}"

    def rows(self, results: Results) -> pd.DataFrame:
        rows = super().rows(results)
        return rows.assign(theory=predicted(self.theory, self.metric, rows))

    @property
    def reads(self) -> list[str]:
        return [self.metric, self.x, "theory"]

    def number(self, rows: pd.DataFrame) -> float:
        means = rows.groupby(self.x)[[self.metric, "theory"]].mean()
        return deviation(means[self.metric], means["theory"], 0.9)
