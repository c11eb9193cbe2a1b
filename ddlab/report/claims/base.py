"""What a claim is, and how it is held against stored metrics."""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ddlab.errors import ConfigError
from ddlab.report.frames import SEEDS, NoSuchColumn, check_selection, label, matching, require, text, with_ratios
from ddlab.store import DIVERGED, PENDING, Results

PASS, FAIL, NOT_ENOUGH = "pass", "fail", "not enough data"
RESAMPLES, LEVEL = 400, 0.95

Selection = Mapping[str, Any]


@dataclass(frozen=True)
class Verdict:
    """A claim held against stored metrics.

    Attributes:
        claim: its name in the sweep.
        says: what is measured, in words.
        measured: the number; nan where there is none.
        interval: of 95 % over seeds; nan for a single seed.
        bound: what is allowed, in words.
        source: the paper.
        status: "pass", "fail" or "not enough data".
        reason: why there is not enough data, or no number.
    """

    claim: str
    says: str
    measured: float
    interval: tuple[float, float]
    bound: str
    source: str
    status: str
    reason: str = ""

    @property
    def cells(self) -> tuple[str, str, str]:
        """The measured number, its interval and the bound, as text."""
        low, high = self.interval
        return (
            "" if math.isnan(self.measured) else f"{self.measured:.4g}",
            "" if math.isnan(low) else f"{low:.3g} to {high:.3g}",
            self.bound,
        )

    @property
    def outcome(self) -> str:
        """The verdict, with the reason where there is one."""
        return f"{self.status}: {self.reason}" if self.reason else self.status


class NotEnoughData(Exception):
    """The stored metrics are too few to measure a claim; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Claim(abc.ABC):
    """Base of claims.

    Options:
        metric: column of the curves, at the last step of each trial unless a kind says otherwise.
        between: [least, greatest] allowed value of the number; null leaves a side open.
        source: author, year, figure or equation.
        where: trials taken, by their columns.
        seeds: fewest seeds that will do.
    """

    metric: str
    between: Sequence[float | None]
    source: str
    where: Mapping[str, Any] = field(default_factory=dict)
    seeds: int = 1

    def check(self, name: str) -> None:
        """Raise `ConfigError` for options that cannot be; their types are right."""
        bounds = self.between
        numbers = [bound for bound in bounds if bound is not None] if len(bounds) == 2 else []
        if not numbers or not all(map(is_number, numbers)) or numbers != sorted(numbers):
            raise ConfigError(f"claims.{name}.between={bounds}: must be [least, greatest], one of which may be null")
        if self.seeds < 1:
            raise ConfigError(f"claims.{name}.seeds={self.seeds}: must be at least 1")
        check_selection(f"claims.{name}.where", self.where)

    @property
    def says(self) -> str:
        """What is measured, in words."""
        return self._says() + (f" ({words(self.where)})" if self.where else "")

    @abc.abstractmethod
    def _says(self) -> str: ...

    @abc.abstractmethod
    def rows(self, results: Results) -> pd.DataFrame:
        """Return the rows that the number is computed from; each has its trial's seeds."""

    @abc.abstractmethod
    def number(self, rows: pd.DataFrame) -> float:
        """Return the number; nan where there is none, such as where a curve that has no peak peaks."""

    @property
    def reads(self) -> list[str]:
        """Columns of `rows` that `number` reads."""
        return [self.metric]

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

    def verdict(self, name: str, results: Results) -> Verdict:
        """Hold the claim against stored metrics."""
        try:
            rows = self._enough(results)
        except (NoSuchColumn, NotEnoughData) as error:
            status = FAIL if isinstance(error, NoSuchColumn) else NOT_ENOUGH
            unknown = (math.nan, math.nan)
            return Verdict(name, self.says, math.nan, unknown, self.bound, self.source, status, str(error))
        measured = self.number(rows)
        least, greatest = self.between
        holds = not math.isnan(measured) and (least is None or measured >= least) and (greatest is None or measured <= greatest)
        reason = "there is none" if math.isnan(measured) else ""
        interval = self._interval(rows)
        return Verdict(name, self.says, measured, interval, self.bound, self.source, PASS if holds else FAIL, reason)

    def _enough(self, results: Results) -> pd.DataFrame:
        """Return the columns that the number reads and those of the seeds; every trial that is meant must be in them."""
        try:
            for selection in self.selections:
                _require_all(results, selection)
            rows = self.rows(results)
            for column in self.reads:
                require(rows, column, "metric")
        except NoSuchColumn:
            raise
        except ConfigError as error:
            raise NotEnoughData(str(error)) from error
        seeds = [column for column in SEEDS if column in rows]
        rows = rows[list(dict.fromkeys([*self.reads, *seeds]))]
        points = [column for column in self.reads if column != self.metric]
        settings = rows.drop_duplicates([*points, *seeds])
        num_seeds = int(settings.groupby(points).size().min()) if points else len(settings)
        if num_seeds < self.seeds:
            raise NotEnoughData(f"{num_seeds} of {self.seeds} seeds")
        return rows

    def _interval(self, rows: pd.DataFrame) -> tuple[float, float]:
        """Return the bootstrap interval of the number over seeds; seeds that form a grid are drawn again each for itself."""
        codes = {tuple(pd.factorize(rows[column])[0]) for column in SEEDS if column in rows}
        drawn = [np.array(code) for code in sorted(codes) if max(code) > 0]
        if not drawn:
            return math.nan, math.nan
        random, numbers = np.random.default_rng(0), []
        for _ in range(RESAMPLES):
            counts = [np.bincount(random.integers(num, size=num), minlength=num) for num in (code.max() + 1 for code in drawn)]
            times = np.prod([count[code] for count, code in zip(counts, drawn, strict=True)], axis=0)
            numbers.append(self.number(rows.iloc[np.repeat(np.arange(len(rows)), times)]))
        found = np.array(numbers)[np.isfinite(numbers)]
        if len(found) == 0:
            return math.nan, math.nan
        low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return float(low), float(high)


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


def is_number(value: Any) -> bool:
    """Return whether a value of an option is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


def words(selection: Selection) -> str:
    """Return a selection of trials in words."""
    return ", ".join(f"{label(key)} {text(value)}" for key, value in selection.items())
