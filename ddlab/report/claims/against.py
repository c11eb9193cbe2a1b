"""Claims that take one number off another: of other trials, or of another metric of the same ones."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import pandas as pd

from ddlab.errors import ConfigError
from ddlab.report.claims.base import Selection
from ddlab.report.claims.timed import Timed
from ddlab.report.ensembles import ENSEMBLE_METRICS, require_whole
from ddlab.report.options import check_options, option
from ddlab.report.selection import check_selection, in_words
from ddlab.store.results import Results

# The column that tells the two apart: 0, and 1 for what is taken off.
SIDE = "side"


@dataclass(frozen=True)
class Less:
    """What is taken off; what an entry leaves out is as the claim has it."""

    where: Mapping[str, Any] = option("its trials, of those that the claim is about", dict)
    metric: str | None = option("its metric", None)
    stop_by: str | None = option("its metric to stop by; null: none, also where the claim has one", None)


@dataclass(frozen=True, kw_only=True)
class Against(Timed):
    """Base of claims on a number less another. Seeds that both have are drawn for both together."""

    less: Mapping[str, Any] = option("what is taken off: its where, metric, stop_by, where they are other ones")

    def check(self, name: str) -> None:
        super().check(name)
        check_options(f"claims.{name}.less", "less", Less, self.less)
        check_selection(f"claims.{name}.less.where", self.less.get("where", {}))
        if self.other == self:
            raise ConfigError(f"claims.{name}.less: must have another where, metric or stop_by than the claim")
        super(Against, self.other).check(name)

    @property
    def other(self) -> Self:
        """The claim with what is taken off in its place."""
        given = {key: value for key, value in self.less.items() if value is not None or key == "stop_by"}
        return replace(self, **{**given, "where": {**self.where, **self.less.get("where", {})}})

    def other_words(self, of: str = "") -> str:
        """Return what is taken off in words: a metric, with `of` before it."""
        what = "that" if self.other.what == self.what else f"{of}{self.other.what}"
        at_last = " at the last step" if self.stop_by and not self.other.stop_by else ""
        chosen = self.less.get("where")
        return f"{what}{at_last}{f' at {in_words(chosen)}' if chosen else ''}"

    def rows(self, results: Results) -> pd.DataFrame:
        own, other = self.side(results), self.other.side(results)
        for rows, metric, against in ((own, self.metric, self.other.metric), (other, self.other.metric, self.metric)):
            if metric in ENSEMBLE_METRICS:
                require_whole(rows, metric, against)
        sides = [own, other.assign(**{self.metric: other[self.other.metric]})]
        # An ensemble has no seed of its members: what only one of the two has tells none of its rows apart.
        return pd.concat([rows.assign(**{SIDE: k}) for k, rows in enumerate(sides)], join="inner", ignore_index=True)

    @abc.abstractmethod
    def side(self, results: Results) -> pd.DataFrame:
        """Return the rows of the claim's own trials and metric."""

    @property
    def selections(self) -> Sequence[Selection]:
        return [self.where, self.other.where]
