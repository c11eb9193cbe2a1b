"""What a claim is, and how it is held against stored metrics."""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from ddlab.errors import ConfigError
from ddlab.report.columns import NoSuchColumn, require
from ddlab.report.intervals import Interval, interval_of
from ddlab.report.options import is_number, option, shown
from ddlab.report.sample import CENSORED, Sample, make_sample
from ddlab.report.selection import check_selection, in_words, matching, with_ratios
from ddlab.store.results import DIVERGED, PENDING, Results

PASS, FAIL, NOT_ENOUGH = "pass", "fail", "not enough data"

Selection = Mapping[str, Any]


@dataclass(frozen=True)
class Verdict:
    """A claim held against stored metrics.

    Attributes:
        claim: its name in the sweep.
        says: what is measured, in words.
        measured: the number; nan where there is none.
        interval: how far it is known from its seeds; empty for a single seed.
        since: of a step: the eval point before it; it lies between the two. nan: the number is no step.
        beyond: all that is known is that the number is greater, ">", or less, "<"; "": it is known.
        bound: what is allowed, in words.
        source: the paper.
        status: "pass", "fail" or "not enough data".
        reason: why there is not enough data, or no number.
    """

    claim: str
    says: str
    measured: float
    interval: Interval
    bound: str
    source: str
    status: str
    reason: str = ""
    since: float = math.nan
    beyond: str = ""

    @property
    def cells(self) -> tuple[str, str, str]:
        """The measured number, its interval and the bound, as text."""
        since = f" in ({self.since:.4g}, {self.measured:.4g}]" if self.since < self.measured and not self.beyond else ""
        measured = "" if math.isnan(self.measured) else f"{self.beyond} {self.measured:.4g}{since}".lstrip()
        return measured, str(self.interval), self.bound

    @property
    def outcome(self) -> str:
        """The verdict, with the reason where there is one."""
        return f"{self.status}: {self.reason}" if self.reason else self.status


class NotEnoughData(Exception):
    """The stored metrics are too few to measure a claim; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Claim(abc.ABC):
    """Base of claims: a number, and the bounds that it must lie in."""

    metric: str = option("column of the curves, at the last step of each trial unless a kind says otherwise")
    between: Sequence[float | None] = option("[least, greatest] allowed value of the number; null leaves a side open")
    source: str = option("author, year, figure or equation")
    where: Mapping[str, Any] = option("trials taken, by their columns", dict)
    seeds: int = option("fewest seeds that will do", 1, low=1)

    def check(self, name: str) -> None:
        """Raise `ConfigError` for options that cannot be; their types are right."""
        bounds = self.between
        numbers = [bound for bound in bounds if bound is not None] if len(bounds) == 2 else []
        if not numbers or not all(map(is_number, numbers)) or numbers != sorted(numbers):
            raise ConfigError(f"claims.{name}.between={shown(bounds)}: must be [least, greatest], one of which may be null")
        check_selection(f"claims.{name}.where", self.where)

    @property
    def says(self) -> str:
        """What is measured, in words."""
        return self._says() + (f" ({in_words(self.where)})" if self.where else "")

    @abc.abstractmethod
    def _says(self) -> str: ...

    @abc.abstractmethod
    def rows(self, results: Results) -> pd.DataFrame:
        """Return the rows that the number is computed from; each has its trial's seeds."""

    @abc.abstractmethod
    def numbers(self, sample: Sample, weights: np.ndarray) -> np.ndarray:
        """Return the number for each weighting of the seeds, [B, U] -> [B].

        It is nan where there is none, such as where a curve that has no peak peaks.
        """

    @property
    def point(self) -> str | None:
        """The column of `rows` that tells points of a curve, or groups, apart; None: the number is of all rows together."""
        return None

    def since(self, rows: pd.DataFrame, results: Results) -> float:
        """Return the eval point before the number, where it is a step; else nan."""
        del rows, results
        return math.nan

    @property
    def selections(self) -> Sequence[Selection]:
        """Selections of the trials that the claim is about."""
        return [self.where]

    @property
    def bound(self) -> str:
        """What is allowed, in words."""
        least, greatest = self.between
        if least is None:
            return f"at most {greatest:g}"
        return f"at least {least:g}" if greatest is None else f"{least:g} to {greatest:g}"

    @np.errstate(divide="ignore", invalid="ignore")  # a number that there is not, such as inf - inf, is nan
    def verdict(self, name: str, results: Results) -> Verdict:
        """Hold the claim against stored metrics."""
        try:
            rows = self._enough(results)
        except (NoSuchColumn, NotEnoughData) as error:
            status = FAIL if isinstance(error, NoSuchColumn) else NOT_ENOUGH
            return Verdict(name, self.says, math.nan, Interval(), self.bound, self.source, status, str(error))
        sample = make_sample(rows, self.metric, self.point, results.seeds)
        numbers, ones = partial(self.numbers, sample), np.ones((1, sample.factors.shape[1]))
        # Of steps that are censored all is known between these two.
        measured, limit = (float(number[0]) for number in (self.numbers(sample.least(), ones), numbers(ones)))
        status, reason = PASS if self._allows(measured) and self._allows(limit) else FAIL, ""
        if math.isnan(limit):
            is_there = not math.isnan(measured)
            status, reason = (NOT_ENOUGH, "it is beyond the steps trained") if is_there else (FAIL, "there is none")
            measured = limit
        return Verdict(
            name,
            self.says,
            measured,
            interval_of(sample, numbers),
            self.bound,
            self.source,
            status,
            reason,
            since=self.since(rows, results),
            beyond=">" if limit > measured else "<" if limit < measured else "",
        )

    def _allows(self, number: float) -> bool:
        least, greatest = self.between
        return not math.isnan(number) and (least is None or number >= least) and (greatest is None or number <= greatest)

    def _enough(self, results: Results) -> pd.DataFrame:
        """Return the rows that the number is computed from; every trial that is meant must be in them."""
        try:
            for selection in self.selections:
                _require_all(results, selection)
            rows = self.rows(results)
            require(rows, self.metric, "metric")
            if self.point:
                require(rows, self.point, "x")
        except NoSuchColumn:
            raise
        except ConfigError as error:
            raise NotEnoughData(str(error)) from error
        seeds = [column for column in results.seeds if column in rows]
        points = [self.point] if self.point else []
        # A value that was not measured is none of a seed; of a point at which no seed has one, a gap, nothing is claimed.
        measured = rows if CENSORED in rows else rows.dropna(subset=[self.metric])
        settings = measured.drop_duplicates([*points, *seeds])
        num_seeds = int(settings.groupby(points).size().min()) if points and len(settings) else len(settings)
        if num_seeds < self.seeds:
            raise NotEnoughData(f"{num_seeds} of {self.seeds} seeds")
        return rows


def _require_all(results: Results, selection: Selection) -> None:
    """Raise `NotEnoughData` where a selected trial is pending, diverged, or without its last eval point."""
    trials = matching(with_ratios(results.trials), selection)
    for status, verb in ((PENDING, "are pending"), (DIVERGED, "have diverged")):
        if number := int((trials["status"] == status).sum()):
            raise NotEnoughData(f"{number:,} trials {verb}")
    last = trials[["trial_id", "last_step"]].merge(
        results.curves, left_on=["trial_id", "last_step"], right_on=["trial_id", "step"]
    )
    if missing := len(trials) - last["trial_id"].nunique():
        raise NotEnoughData(f"the last eval point of {missing:,} trials is missing or damaged")
