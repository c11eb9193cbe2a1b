"""Claims that may be about when a metric gets to a level, instead of about its value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ddlab.errors import ConfigError
from ddlab.report.claims.base import Claim
from ddlab.report.columns import label, require
from ddlab.report.crossings import KINDS, Level, crossings, make_level
from ddlab.report.metric_rows import metric_rows
from ddlab.report.options import option
from ddlab.report.sample import CENSORED, Sample
from ddlab.report.selection import require_seeds_only, selected
from ddlab.report.stopping import stopped_at, stopped_by
from ddlab.store.results import Results


@dataclass(frozen=True, kw_only=True)
class Stoppable(Claim):
    """A claim about the metric at the last step of each trial, or at the eval point at which another one is least."""

    stop_by: str | None = option("a metric of each trial: it is taken where that is least, instead of at its last step", None)

    @property
    def what(self) -> str:
        """What a number of a trial is, in words."""
        return " ".join([label(self.metric), *([stopped_at(self.stop_by)] if self.stop_by else [])])

    def measured(
        self, results: Results, where: Mapping[str, Any], by: Sequence[str] = (), best_over: str | None = None
    ) -> pd.DataFrame:
        """Return the rows of the metric, as `metric_rows` does."""
        return metric_rows(stopped_by(results, where, self.stop_by), where, self.metric, by, best_over)


@dataclass(frozen=True, kw_only=True)
class Timed(Stoppable):
    """A claim about the metric; with a level, about the step at which it gets there, and then on medians over seeds."""

    at_most: float | None = option("a level: the claim is about the first step at which the metric is at most so much", None)
    at_least: float | None = option("a level: at least so much", None)
    falls_to: float | None = option("a level: this share of the value at the first eval point", None, above=0)
    rises: float | None = option("a level: more than so many times its least value, after that", None, above=0)
    sustained: bool = option("from which on the level holds at five more eval points, instead of the first step", False)

    @property
    def level(self) -> Level | None:
        return make_level(self.metric, **{kind: getattr(self, kind) for kind in KINDS})

    def check(self, name: str) -> None:
        super().check(name)
        try:
            level = self.level
        except ConfigError as error:
            raise ConfigError(f"claims.{name}: {error}") from error
        if self.sustained and level is None:
            raise ConfigError(f"claims.{name}.sustained=true: needs a level, one of {', '.join(KINDS)}")
        if self.stop_by and level is not None:
            raise ConfigError(f"claims.{name}.stop_by={self.stop_by}: is for values of {self.metric}, not for when {level}")

    @property
    def what(self) -> str:
        if self.level is None:
            return super().what
        return f"step {'from' if self.sustained else 'at'} which {self.level}"

    def measured(
        self, results: Results, where: Mapping[str, Any], by: Sequence[str] = (), best_over: str | None = None
    ) -> pd.DataFrame:
        """Return the rows of the metric, as without a level; with one those of `step_rows`."""
        if self.level is None:
            return super().measured(results, where, by, best_over)
        if best_over:
            raise ConfigError(f"best_over={best_over}: is for values of {self.metric}, not for the step at which {self.level}")
        return step_rows(results, where, self.level, by, self.sustained)

    def middle(self, sample: Sample, weights: np.ndarray) -> np.ndarray:
        """Return the number at each point for B weightings of the seeds, [B, P]: means of values, medians of steps."""
        return sample.means(weights) if self.level is None else sample.medians(weights)


@dataclass(frozen=True, kw_only=True)
class AtLevel(Timed):
    """A claim about when the metric gets to a level, which it needs."""

    def check(self, name: str) -> None:
        super().check(name)
        if self.level is None:
            raise ConfigError(f"claims.{name}: needs a level of {self.metric}, one of {', '.join(KINDS)}")

    @property
    def there(self) -> Level:
        level = self.level
        assert level is not None  # `check` has seen to it
        return level


def step_rows(results: Results, where: Mapping[str, Any], level: Level, by: Sequence[str], sustained: bool) -> pd.DataFrame:
    """Return a row for each finished trial, to be taken over seeds at each `by`: its columns and those of `crossings`.

    The column of the metric is the step at which it got to the level, `before` the eval point before that; where it did not, the
    step until when it is known not to have, and `CENSORED`.
    """
    trials = selected(results, where, finished=True)
    for column in by:
        require(trials, column, "x or group")
    require_seeds_only(trials, by, results.seeds)
    found = crossings(results, trials, level)
    step, before, until = (found[f"{name}_sustained" if sustained else f"{name}_first"] for name in ("t", "before", "until"))
    steps = {level.metric: step.fillna(until), CENSORED: step.isna(), "before": before.fillna(0.0)}
    return trials.merge(found.assign(**steps), on="trial_id")
