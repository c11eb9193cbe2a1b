"""Claims on when trials learn: steps, the delay of generalisation, what comes before what, and what holds in between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ddlab.errors import ConfigError
from ddlab.report.claims.base import Claim
from ddlab.report.claims.timed import AtLevel
from ddlab.report.columns import label, require
from ddlab.report.crossings import DELAY, KINDS, MEMORISED, RELATIVE, Level, crossings, grokked, of_train
from ddlab.report.options import is_number, option, shown
from ddlab.report.sample import CENSORED, Sample, make_sample
from ddlab.report.selection import require_seeds_only, selected
from ddlab.store.results import Results


@dataclass(frozen=True, kw_only=True)
class FirstCrossing(AtLevel):
    """The median over seeds of the step at which the metric gets to a level (Kaplan-Meier, where some did not)."""

    def _says(self) -> str:
        return f"median {self.what}"

    def rows(self, results: Results) -> pd.DataFrame:
        return self.measured(results, self.where)

    def numbers(self, sample: Sample, weights: np.ndarray) -> np.ndarray:
        return sample.medians(weights)[:, 0]

    def since(self, rows: pd.DataFrame, results: Results) -> float:
        before = rows.assign(**{self.metric: rows["before"].where(~rows[CENSORED], rows[self.metric])})
        sample = make_sample(before, self.metric, self.point, results.seeds)
        return float(self.numbers(sample, np.ones((1, sample.factors.shape[1])))[0])


@dataclass(frozen=True, kw_only=True)
class _OfTrials(Claim):
    """A claim on the mean over seeds of a number of each trial; a trial that has none is not left out."""

    def numbers(self, sample: Sample, weights: np.ndarray) -> np.ndarray:
        if np.isnan(sample.values).any():
            return np.full(len(weights), np.nan)
        return sample.means(weights)[:, 0]

    def _trials(self, results: Results) -> pd.DataFrame:
        trials = selected(results, self.where, finished=True)
        require_seeds_only(trials, [], results.seeds)
        return trials


@dataclass(frozen=True, kw_only=True)
class Reached(AtLevel, _OfTrials):
    """The share of the trials in which the metric gets to a level within their steps."""

    def _says(self) -> str:
        return f"share of trials in which {self.there}"

    def rows(self, results: Results) -> pd.DataFrame:
        rows = self.measured(results, self.where)
        return rows.assign(**{self.metric: (~rows[CENSORED]).astype(float)}).drop(columns=CENSORED)


@dataclass(frozen=True, kw_only=True)
class _OfTestSet(AtLevel):
    """A claim on a level of a metric of the test set, held against the same of the training set."""

    def check(self, name: str) -> None:
        super().check(name)
        if not self.metric.startswith("test_"):
            raise ConfigError(f"claims.{name}.metric={self.metric}: must be one of the test set, such as test_error")


@dataclass(frozen=True, kw_only=True)
class Delay(_OfTestSet):
    """The median over seeds of how many times later a metric of the test set gets to a level than that of the training set."""

    difference: bool = option("how many steps later, instead of how many times", False)

    def _says(self) -> str:
        return f"median delay: {self.what}, {'less' if self.difference else 'over'} that of the training set"

    def rows(self, results: Results) -> pd.DataFrame:
        rows = self.measured(results, self.where)
        train = crossings(results, rows, of_train(self.there)).set_index("trial_id")
        steps = rows["trial_id"].map(train["t_sustained" if self.sustained else "t_first"])
        delay = rows[self.metric] - steps if self.difference else rows[self.metric] / steps.where(steps > 0)
        return rows.assign(**{self.metric: delay})

    def numbers(self, sample: Sample, weights: np.ndarray) -> np.ndarray:
        if np.isnan(sample.values).any():  # a training set that is not learnt, or was from the first: there is no delay
            return np.full(len(weights), np.nan)
        return sample.medians(weights)[:, 0]


@dataclass(frozen=True, kw_only=True)
class Grokking(_OfTestSet, _OfTrials):
    """The share of the trials that grok: every training example was right before, and the delay is at least so large."""

    delay: float = option("the least delay that counts", DELAY, above=1)

    def _says(self) -> str:
        return f"share of trials that memorise, and at least {self.delay:g} times later {self.there}"

    def rows(self, results: Results) -> pd.DataFrame:
        trials = self._trials(results)
        groks = grokked(results, trials, self.there, self.delay)
        return trials.assign(**{self.metric: trials["trial_id"].map(groks).astype(float)})


@dataclass(frozen=True, kw_only=True)
class Leads(AtLevel, _OfTrials):
    """The share of the trials in which the metric gets to a level at an eval point before that where something else happens."""

    then: Mapping[str, Any] = option("what happens later: a metric and a level of it, {metric: test_loss, at_most: 1}", dict)
    factor: float = option("before this share of the steps to what happens later", 1.0, above=0, high=1)

    def check(self, name: str) -> None:
        super().check(name)
        level_of(f"claims.{name}.then", self.then)

    def _says(self) -> str:
        share = "" if self.factor == 1 else f"{self.factor:g} of the steps to where "
        return f"share of trials in which {self.there} before {share}{level_of('then', self.then)}"

    def rows(self, results: Results) -> pd.DataFrame:
        trials, then = self._trials(results), level_of("then", self.then)
        for metric in (self.metric, then.metric):
            require(results.curves, metric, "metric")
        common = replace(results, curves=results.curves.dropna(subset=[self.metric, then.metric]))  # eval points of both
        of_first, of_later = (crossings(common, trials, level).set_index("trial_id") for level in (self.there, then))
        first, later = (trials["trial_id"].map(found["t_first"]) for found in (of_first, of_later))
        # What does not happen is later than the last step; by how much is not known.
        beyond = np.inf if self.factor == 1 else trials["trial_id"].map(of_later["last"])
        return trials.assign(**{self.metric: (first < self.factor * later.fillna(beyond)).astype(float)})


@dataclass(frozen=True, kw_only=True)
class ValueAt(_OfTrials):
    """The mean over seeds of the metric at the first eval point that is so many times later than something happens.

    With `at_least`, the share of the trials in which it is at least so much; it is not in one that has no such eval point.
    """

    after: Mapping[str, Any] = option("what happens: a metric and a level of it, {metric: test_error, at_most: 0.01}", dict)
    times: float = option("how many times later", 3.0, low=1)
    at_least: float | None = option("count the trials in which the metric is at least so much", None)

    def check(self, name: str) -> None:
        super().check(name)
        level_of(f"claims.{name}.after", self.after)

    def _says(self) -> str:
        share = "" if self.at_least is None else f"share of trials with at least {self.at_least:g} of "
        return f"{share}{label(self.metric)} at {self.times:g} times the step at which {level_of('after', self.after)}"

    def rows(self, results: Results) -> pd.DataFrame:
        trials = self._trials(results)
        require(results.curves, self.metric, "metric")
        found = crossings(results, trials, level_of("after", self.after))
        due = results.curves.dropna(subset=self.metric).merge(found[["trial_id", "t_first"]], on="trial_id")
        due = due[due["step"] >= self.times * due["t_first"]].sort_values("step").groupby("trial_id")[self.metric].first()
        found = trials["trial_id"].map(due)
        return trials.assign(**{self.metric: found if self.at_least is None else (found >= self.at_least).astype(float)})


@dataclass(frozen=True, kw_only=True)
class Plateau(_OfTrials):
    """The mean over seeds of the metric's median from when a trial has memorised until half the steps to when it generalises.

    Memorised: every training example is right. Generalised: the test error is at most `generalised`; where it never is, the
    median goes to the last step.
    """

    generalised: float = option("test error at which a trial has generalised", 0.01, low=0, high=1)

    def _says(self) -> str:
        return f"{label(self.metric)} between memorising and half the steps to a test error of {self.generalised:g}"

    def rows(self, results: Results) -> pd.DataFrame:
        trials = self._trials(results)
        require(results.curves, self.metric, "metric")
        begin = crossings(results, trials, MEMORISED)[["trial_id", "t_first"]]
        end = crossings(results, trials, Level("test_error", "at_most", self.generalised))
        ends = end.assign(until=(end["t_first"] / 2).fillna(end["last"]))[["trial_id", "until"]]
        curves = results.curves.merge(begin, on="trial_id").merge(ends, on="trial_id")
        between = curves[(curves["step"] >= curves["t_first"]) & (curves["step"] <= curves["until"])]
        return trials.assign(**{self.metric: trials["trial_id"].map(between.groupby("trial_id")[self.metric].median())})


def level_of(entry: str, given: Mapping[str, Any], kinds: Sequence[str] = tuple(KINDS)) -> Level:
    """Return the level, of one of some kinds, that an option holds.

    Raises:
        ConfigError: it holds anything else.
    """
    rest = dict(given)
    metric = rest.pop("metric", None)
    numbers = list(rest.values())
    if isinstance(metric, str) and len(rest) == 1 and rest.keys() <= set(kinds) and all(map(is_number, numbers)):
        (kind,) = rest
        if kind not in RELATIVE or numbers[0] > 0:
            return Level(metric, kind, numbers[0])
    relative = [kind for kind in kinds if kind in RELATIVE]
    raise ConfigError(
        f"{entry}={shown(given)}: must be a metric and one level of it, a number: {', '.join(kinds)};"
        f" {' and '.join(relative)} above 0"
    )
