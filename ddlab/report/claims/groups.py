"""Claims on groups of trials: a value, a difference, a ratio, an order."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ddlab.errors import ConfigError
from ddlab.report.claims.against import SIDE, Against
from ddlab.report.claims.base import Selection
from ddlab.report.claims.timed import Stoppable, Timed
from ddlab.report.options import option, shown
from ddlab.report.sample import Sample
from ddlab.report.selection import check_selection, in_words
from ddlab.store.results import Results


@dataclass(frozen=True, kw_only=True)
class Value(Stoppable):
    """The mean of the metric over seeds."""

    def _says(self) -> str:
        return self.what

    def rows(self, results: Results) -> pd.DataFrame:
        return self.measured(results, self.where)

    def numbers(self, sample: Sample, weights: np.ndarray) -> np.ndarray:
        return sample.means(weights)[:, 0]


@dataclass(frozen=True, kw_only=True)
class Difference(Against):
    """The mean of the metric over seeds less another: of other trials, or of another metric of the same."""

    def _says(self) -> str:
        return f"{self.what} less {self.other_words()}"

    def side(self, results: Results) -> pd.DataFrame:
        return self.measured(results, self.where)

    @property
    def point(self) -> str:
        return SIDE

    def numbers(self, sample: Sample, weights: np.ndarray) -> np.ndarray:
        first, other = self.middle(sample, weights).T
        return first - other


@dataclass(frozen=True, kw_only=True)
class _OfGroups(Timed):
    """A claim on the medians over seeds of groups of trials."""

    order: Sequence[Selection] = option("two or more selections of trials: [{data.label_noise: 0.0}, {data.label_noise: 0.2}]")

    def check(self, name: str) -> None:
        super().check(name)
        if len(self.order) < 2:
            raise ConfigError(f"claims.{name}.order={shown(self.order)}: must be two or more selections of trials")
        for selection in self.order:
            check_selection(f"claims.{name}.order", selection)

    def rows(self, results: Results) -> pd.DataFrame:
        groups = [self.measured(results, selection) for selection in self.selections]
        return pd.concat([rows.assign(group=k) for k, rows in enumerate(groups)], ignore_index=True)

    @property
    def selections(self) -> Sequence[Selection]:
        return [{**self.where, **selection} for selection in self.order]

    @property
    def point(self) -> str:
        return "group"

    def numbers(self, sample: Sample, weights: np.ndarray) -> np.ndarray:
        return self._of_medians(sample.medians(weights))

    @abc.abstractmethod
    def _of_medians(self, medians: np.ndarray) -> np.ndarray:
        """Return the number of each of B rows of medians of the G groups: [B, G] -> [B]."""


@dataclass(frozen=True, kw_only=True)
class Ordering(_OfGroups):
    """The least ratio of medians of one group to the group before it; at least 1: they are in this order."""

    def _says(self) -> str:
        return f"least ratio of median {self.what} from one to the next: {'; '.join(map(in_words, self.order))}"

    def _of_medians(self, medians: np.ndarray) -> np.ndarray:
        return (medians[:, 1:] / medians[:, :-1]).min(axis=1)


@dataclass(frozen=True, kw_only=True)
class Ratio(_OfGroups):
    """The median of the last group over that of the first."""

    def _says(self) -> str:
        return f"median {self.what} at {in_words(self.order[-1])} over that at {in_words(self.order[0])}"

    def _of_medians(self, medians: np.ndarray) -> np.ndarray:
        return medians[:, -1] / medians[:, 0]


@dataclass(frozen=True, kw_only=True)
class Share(_OfGroups):
    """How much of the way from the median of the first group to that of the last the one between has come; 1: all of it."""

    def check(self, name: str) -> None:
        super().check(name)
        if len(self.order) != 3:
            raise ConfigError(f"claims.{name}.order={shown(self.order)}: must be three selections of trials")

    def _says(self) -> str:
        first, between, last = map(in_words, self.order)
        return f"share of the way of median {self.what} from {first} to {last} that {between} has come"

    def _of_medians(self, medians: np.ndarray) -> np.ndarray:
        first, between, last = medians.T
        return (first - between) / (first - last)


@dataclass(frozen=True, kw_only=True)
class RankCorrelation(_OfGroups):
    """Spearman's rank correlation of the medians of groups in one selection with those of the same groups in another.

    At 1 the groups are in the same order in both; of equal medians the mean rank is taken.
    """

    sides: Sequence[Selection] = option("two selections that all of the groups are in: [{stage: before}, {stage: after}]")

    def check(self, name: str) -> None:
        super().check(name)
        if len(self.sides) != 2:
            raise ConfigError(f"claims.{name}.sides={shown(self.sides)}: must be two selections of trials")
        for selection in self.sides:
            check_selection(f"claims.{name}.sides", selection)

    def _says(self) -> str:
        one, other = map(in_words, self.sides)
        return f"rank correlation of median {self.what} at {one} and at {other} over {'; '.join(map(in_words, self.order))}"

    @property
    def selections(self) -> Sequence[Selection]:
        return [{**self.where, **side, **selection} for side in self.sides for selection in self.order]

    def _of_medians(self, medians: np.ndarray) -> np.ndarray:
        from scipy.stats import rankdata  # takes a while; most claims need none

        one, other = (rankdata(side, axis=1) - (len(self.order) + 1) / 2 for side in np.split(medians, 2, axis=1))
        return (one * other).sum(axis=1) / np.sqrt(np.square(one).sum(axis=1) * np.square(other).sum(axis=1))
