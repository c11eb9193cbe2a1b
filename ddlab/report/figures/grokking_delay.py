"""Steps to memorise and to generalise against a hyper-parameter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ddlab.report.columns import label, require
from ddlab.report.figures.base import TEST, TRAIN, Recipe, plain_log_ticks
from ddlab.report.frames import learning_steps
from ddlab.report.selection import require_seeds_only, selected
from ddlab.store.results import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class GrokkingDelay(Recipe):
    """Steps to memorise and to generalise against `x`, one dot a seed and a line through the medians.

    Trials that never got there have no dot; a median over them is infinite and breaks the line.

    Options:
        x: a numeric column of the trials.
        accuracy: what counts as learnt.
    """

    x: str = "data.train_fraction"
    accuracy: float = 0.99

    size = (3.5, 2.6)

    def frame(self, results: Results) -> pd.DataFrame:
        trials = selected(results, self.where, finished=True)
        require(trials, self.x, "x")
        for metric in ("train_error", "test_error"):
            require(results.curves, metric, "metric")
        require_seeds_only(trials, [self.x], results.seeds)
        steps = trials.merge(learning_steps(results, trials, self.accuracy), on="trial_id")
        return steps[[self.x, "seed", "memorised", "generalised"]].sort_values([self.x, "seed"], ignore_index=True)

    def draw(self, frame: pd.DataFrame, figure: Figure) -> None:
        from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

        axes = figure.subplots()
        for name, color, marker in (("generalised", TEST, "o"), ("memorised", TRAIN, "s")):
            median = frame.fillna({name: np.inf}).groupby(self.x)[name].median()
            text = name if np.isfinite(median).any() else f"{name} (not reached)"
            axes.plot(frame[self.x], frame[name], marker, color=color, alpha=0.5, markeredgewidth=0)
            axes.plot(median.index, median.where(np.isfinite(median)), color=color, label=text)
        axes.set_yscale("log")
        plain_log_ticks(axes, "y")
        values = sorted(frame[self.x].unique())
        if min(values) > 0:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(FixedLocator(values))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.tick_params(axis="x", labelrotation=45 if len(values) > 5 else 0)
        axes.set_xlabel(label(self.x))
        axes.set_ylabel(f"steps to {100 * self.accuracy:g} % accuracy")
        axes.legend()
        if self.title:
            axes.set_title(self.title)

    def caption(self, frame: pd.DataFrame) -> str:
        median = frame.fillna(np.inf).groupby(self.x)[["memorised", "generalised"]].median()
        ratio = (median["generalised"] / median["memorised"]).replace([np.inf, -np.inf], np.nan).dropna()
        delay = f" The largest delay is {ratio.max():.0f}-fold, at {ratio.idxmax():g}." if len(ratio) else ""
        return f"Steps to {100 * self.accuracy:g} % train and test accuracy{self.selection}; dots: seeds, lines: medians.{delay}"
