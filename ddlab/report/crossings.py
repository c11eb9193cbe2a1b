"""When a metric of a trial gets to a level: what steps to learn, or to grok, are in figures, claims and tables.

Only eval points are seen: a step t that was found lies in the interval (s, t], for the eval point s before it. A trial that did
not get there within its steps is right-censored: all that is known is that it takes longer (`ddlab.report.survival`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ddlab.errors import ConfigError
from ddlab.report.columns import label, require
from ddlab.store.results import STOPPED, Results

# How many eval points after one must hold a level, too, for it to be sustained.
HOLD = 5

# "Grokking" is said where generalisation comes this many times later than memorisation, or more.
DELAY = 10.0

COLUMNS = (
    *("t_first", "before_first", "until_first", "t_sustained", "before_sustained", "until_sustained"),
    *("share_after", "dip", "last"),
)

# Errors are sums of rounded numbers: 0.01 is reached at 0.01 + this.
ROUNDING = 1e-9

# Name of a level -> what it is, before and after its number.
KINDS = {
    "at_most": ("is at most ", ""),
    "at_least": ("is at least ", ""),
    "falls_to": ("has fallen to ", " of its first value"),
    "rises": ("has risen, after its minimum, to more than ", " times that"),
}

# Those of which the number is a share or a multiple of the metric.
RELATIVE = ("falls_to", "rises")


@dataclass(frozen=True)
class Level:
    """A level of a metric.

    Attributes:
        metric: a column of the curves.
        kind: one of `KINDS`.
        value: its number.
    """

    metric: str
    kind: str
    value: float

    def __str__(self) -> str:
        before, after = KINDS[self.kind]
        return f"{label(self.metric)} {before}{self.value:g}{after}"

    def holds(self, values: np.ndarray) -> np.ndarray:
        """Return at which eval points of a trial the level holds, from the metric there: [T] -> [T] bool."""
        if self.kind == "at_least":
            return values >= self.value - ROUNDING
        if self.kind == "rises":
            lowest = int(np.argmin(values))
            return (values > self.value * values[lowest]) & (np.arange(len(values)) > lowest)
        return values <= (self.value if self.kind == "at_most" else self.value * values[0]) + ROUNDING

    def worst(self, values: np.ndarray) -> float:
        """Return the value that is farthest from holding the level."""
        return float(values.min() if self.kind in ("at_least", "rises") else values.max())


# Every training example is right.
MEMORISED = Level("train_error", "at_most", 0.0)


def accuracy(split: str, least: float) -> Level:
    """Return the level of an accuracy, a fraction of 1."""
    return Level(f"{split}_error", "at_most", 1 - least)


def of_train(level: Level) -> Level:
    """Return the same level of the training set, of one of the test set."""
    return replace(level, metric="train_" + level.metric.removeprefix("test_"))


def make_level(metric: str, **levels: float | None) -> Level | None:
    """Return the level that is given, of those of `KINDS`; None: there is none.

    Raises:
        ConfigError: there are several.
    """
    given = {kind: value for kind, value in levels.items() if value is not None}
    if len(given) > 1:
        raise ConfigError(f"{' and '.join(given)} of {metric}: only one of {', '.join(KINDS)} can be")
    return next((Level(metric, kind, value) for kind, value in given.items()), None)


def crossings(results: Results, trials: pd.DataFrame, level: Level) -> pd.DataFrame:
    """Return when trials got to a level: a row for each.

    Columns: trial_id; t_first, the first eval step at which it holds; t_sustained, the first at which it holds and at the next
    `HOLD` eval points, too; before_first and before_sustained, the eval steps before those; until_first and until_sustained, the
    step until when it is known that it had not got there; share_after and dip, of the eval points after t_first the share that
    hold it, and the worst value of the metric; last, the last eval step. nan: it did not get there, or there is no such eval
    point. A trial that stopped early would have kept its last value to the end.

    Raises:
        ConfigError: the metric does not exist.
    """
    require(results.curves, level.metric, "metric")
    stopped = trials[trials["status"] == STOPPED]
    ends = dict(zip(stopped["trial_id"], stopped.get("train.steps", pd.Series(0, stopped.index)), strict=True))
    curves = results.curves[results.curves["trial_id"].isin(set(trials["trial_id"]))].dropna(subset=level.metric)
    rows = [
        {"trial_id": trial, **_crossing(curve["step"].to_numpy(float), curve[level.metric].to_numpy(), level, ends.get(trial))}
        for trial, curve in curves.sort_values("step").groupby("trial_id")
    ]
    return pd.DataFrame(rows, columns=["trial_id", *COLUMNS])


def grokked(results: Results, trials: pd.DataFrame, level: Level, delay: float = DELAY) -> pd.Series:
    """Return which trials have grokked, by trial_id: with every training example right before, and a delay of at least so much.

    Args:
        results: that hold them.
        trials: rows of them.
        level: of the test set; the delay is how many times later it is reached than that of the training set.
        delay: the least that counts.
    """
    levels = level, of_train(level), MEMORISED
    test, train, memorised = (crossings(results, trials, one).set_index("trial_id")["t_first"] for one in levels)
    return (memorised < test) & (train > 0) & (test >= delay * train)


def _crossing(steps: np.ndarray, values: np.ndarray, level: Level, end: float | None) -> dict[str, float]:
    """Return a row of `crossings`, from the eval steps [T] of a trial and a metric there [T]; end: of one that stopped early."""
    holds = level.holds(values)
    found = dict.fromkeys(COLUMNS, np.nan)
    last = steps[-1] if end is None else max(steps[-1], float(end))
    # Where the last eval points hold the level but are too few, it may be sustained from the first of them on.
    without = float(steps[~holds][-1]) if not holds.all() else 0.0
    found |= {"last": steps[-1], "until_first": last, "until_sustained": without if holds[-1] else last}
    if not holds.any():
        return found
    first = int(np.argmax(holds))
    found |= {"t_first": steps[first], "before_first": steps[first - 1] if first else np.nan}
    if first + 1 < len(steps):
        found |= {"share_after": holds[first + 1 :].mean(), "dip": level.worst(values[first + 1 :])}
    beyond = np.full(HOLD, end is not None and holds[-1])
    sustained = np.lib.stride_tricks.sliding_window_view(np.concatenate([holds, beyond]), HOLD + 1).all(axis=1)
    if sustained.any():
        at = int(np.argmax(sustained))
        found |= {"t_sustained": steps[at], "before_sustained": steps[at - 1] if at else np.nan}
    return found
