"""Claims on groups of trials: a value, a ratio, an order, a time."""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ddlab.errors import ConfigError
from ddlab.report.claims.base import Claim, Selection, words
from ddlab.report.claims.sample import Sample
from ddlab.report.columns import label, require
from ddlab.report.frames import first_step, sustained_step
from ddlab.report.metric_rows import metric_rows
from ddlab.report.options import option, shown
from ddlab.report.selection import check_selection, require_seeds_only, selected
from ddlab.store.results import Results


@dataclass(frozen=True, kw_only=True)
class Value(Claim):
    """The mean of the metric over seeds."""

    def _says(self) -> str:
        return label(self.metric)

    def rows(self, results: Results) -> pd.DataFrame:
        return metric_rows(results, self.where, self.metric)

    def numbers(self, sample: Sample, weights: np.ndarray) -> np.ndarray:
        return sample.means(weights)[:, 0]


@dataclass(frozen=True, kw_only=True)
class _OfGroups(Claim):
    """A claim on the medians over seeds of groups of trials."""

    order: Sequence[Selection] = option("two or more selections of trials: [{data.label_noise: 0.0}, {data.label_noise: 0.2}]")

    def check(self, name: str) -> None:
        super().check(name)
        if len(self.order) < 2:
            raise ConfigError(f"claims.{name}.order={shown(self.order)}: must be two or more selections of trials")
        for selection in self.order:
            check_selection(f"claims.{name}.order", selection)

    def rows(self, results: Results) -> pd.DataFrame:
        groups = [metric_rows(results, selection, self.metric) for selection in self.selections]
        return pd.concat([rows.assign(group=k) for k, rows in enumerate(groups)], ignore_index=True)

    @property
    def selections(self) -> Sequence[Selection]:
        return [{**self.where, **selection} for selection in self.order]

    @property
    def point(self) -> str:
        return "group"

    def numbers(self, sample: Sample, weights: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return self._of_medians(sample.medians(weights))

    @abc.abstractmethod
    def _of_medians(self, medians: np.ndarray) -> np.ndarray:
        """Return the number of each of B rows of medians of the G groups: [B, G] -> [B]."""


@dataclass(frozen=True, kw_only=True)
class Ordering(_OfGroups):
    """The least ratio of medians of one group to the group before it; at least 1: they are in this order."""

    def _says(self) -> str:
        return f"least ratio of median {label(self.metric)} from one to the next: {'; '.join(map(words, self.order))}"

    def _of_medians(self, medians: np.ndarray) -> np.ndarray:
        return (medians[:, 1:] / medians[:, :-1]).min(axis=1)


@dataclass(frozen=True, kw_only=True)
class Ratio(_OfGroups):
    """The median of the last group over that of the first."""

    def _says(self) -> str:
        return f"median {label(self.metric)} at {words(self.order[-1])} over that at {words(self.order[0])}"

    def _of_medians(self, medians: np.ndarray) -> np.ndarray:
        return medians[:, -1] / medians[:, 0]


@dataclass(frozen=True, kw_only=True)
class FirstCrossing(Claim):
    """The median over seeds, on a log scale, of the step at which the metric falls to a level."""

    at_most: float = option("the level")
    sustained: bool = option("whether it stays there at every later eval point", True)

    def _says(self) -> str:
        return f"median step {'from' if self.sustained else 'at'} which {label(self.metric)} is at most {self.at_most:g}"

    def rows(self, results: Results) -> pd.DataFrame:
        trials = selected(results, self.where, finished=True)
        require_seeds_only(trials, [], results.seeds)
        require(results.curves, self.metric, "metric")
        find = sustained_step if self.sustained else first_step
        curves = results.curves[results.curves["trial_id"].isin(set(trials["trial_id"]))]
        steps = {trial: find(curve, self.metric, self.at_most + 1e-9) for trial, curve in curves.groupby("trial_id")}
        found = trials["trial_id"].map(steps).fillna(math.inf)  # never is later than any step
        with np.errstate(divide="ignore"):
            return trials.assign(**{self.metric: np.log(found)})

    def numbers(self, sample: Sample, weights: np.ndarray) -> np.ndarray:
        middle = np.exp(sample.medians(weights)[:, 0])
        return np.where(np.isfinite(middle), middle, np.nan)
