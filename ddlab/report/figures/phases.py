"""When trials of a figure memorise and generalise, and how that is shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ddlab.report.charts import Series, Span
from ddlab.report.charts.colors import GREY
from ddlab.report.crossings import DELAY, accuracy, crossings, grokked
from ddlab.report.survival import quantile
from ddlab.store.results import Results

# What trials have done whose accuracy on a split is high.
LEARNT = {"memorised": "train", "generalised": "test"}


@dataclass(frozen=True)
class Phases:
    """When trials have learnt, by medians of Kaplan and Meier.

    Attributes:
        steps: "memorised" and "generalised" -> the first eval step with that accuracy; where the median is beyond it, the last.
        beyond: those whose median is beyond the steps.
        trials: how many there are.
        groks: how many of them grok (`ddlab.report.crossings.grokked`).
    """

    steps: dict[str, float]
    beyond: frozenset[str]
    trials: int
    groks: int

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield rows of a frame that say so: of metric "memorised" and "generalised"."""
        for name, step in self.steps.items():
            yield {"step": step, "metric": name, "trials": self.trials, "censored": name in self.beyond, "groks": self.groks}

    @staticmethod
    def of(frame: pd.DataFrame) -> Phases:
        """Return what the rows of a frame say."""
        rows = frame[frame["metric"].isin(list(LEARNT))].set_index("metric")
        first = rows.iloc[0]
        steps = {name: float(rows.loc[name, "step"]) for name in LEARNT}
        beyond = frozenset(name for name in LEARNT if rows.loc[name, "censored"])
        return Phases(steps, beyond, int(first["trials"]), int(first["groks"]))

    def spans(self) -> list[Span]:
        """Return the area between the steps of memorising and of generalising; none where that comes first."""
        begin, end = (self.steps[name] for name in LEARNT)
        if "memorised" in self.beyond or begin >= end:
            return []
        until = "not yet" if "generalised" in self.beyond else f"at {end:,.0f}"
        return [Span({"step": begin}, {"step": end}, Series(f"memorised at step {begin:,.0f}, generalised {until}", GREY))]

    def times(self) -> str:
        """Return both steps in words."""
        train, test = (f"{'not by ' if name in self.beyond else ''}{step:,.0f}" for name, step in self.steps.items())
        return f"train {train}, test {test}"


def over_seeds(frame: pd.DataFrame) -> str:
    """Return what the curves of a frame are, in words, with the number of seeds."""
    number = int(frame["trials"].max())
    return f"Median over {number} {'seed' if number == 1 else 'seeds'}"


def words(groups: Sequence[Phases]) -> str:
    """Return how many trials of some groups grok, in a sentence."""
    groks, trials = sum(group.groks for group in groups), sum(group.trials for group in groups)
    return f"Of {trials} trials {groks} grok: they memorise first, and generalise {DELAY:g} times later or more."


def phases(results: Results, trials: pd.DataFrame, least: float) -> Phases:
    """Return when trials have learnt: when their accuracy is at least so much."""
    steps, beyond = {}, set()
    for name, split in LEARNT.items():
        found = crossings(results, trials, accuracy(split, least))
        censored = found["t_first"].isna()
        median = float(quantile(found["t_first"].fillna(found["until_first"]).to_numpy(), censored.to_numpy(), 0.5)[0])
        steps[name] = min(median, float(found["last"].max()))
        if steps[name] < median:
            beyond.add(name)
    groks = int(grokked(results, trials, accuracy("test", least)).sum())
    return Phases(steps, frozenset(beyond), len(trials), groks)
