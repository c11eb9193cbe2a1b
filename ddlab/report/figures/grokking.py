"""Accuracy and loss against log steps: grokking curves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ddlab.report.columns import label, loss_name, require, text
from ddlab.report.figures.base import MARK, TEST, TRAIN, Recipe, ordered_colors, percent, step_axis
from ddlab.report.frames import curves_over_seeds, learning_steps
from ddlab.report.selection import require_seeds_only, selected
from ddlab.store.results import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METRICS = ("train_error", "test_error", "train_loss", "test_loss")
MARKS: dict[str, Any] = {"memorised": (0, (1, 1.5)), "generalised": (0, (5, 2))}


@dataclass(frozen=True)
class Grokking(Recipe):
    """Accuracy (upper panel) and loss (lower) against steps: median over seeds, band from lowest to highest.

    Vertical lines mark the median steps at which the trials memorised (train accuracy reaches `accuracy`) and generalised
    (test accuracy stays at or above it at every later eval point).

    Options:
        group: a column of the trials; one colour for each of its values.
        accuracy: what counts as learnt.
    """

    group: str = ""
    accuracy: float = 0.99

    def frame(self, results: Results) -> pd.DataFrame:
        trials = selected(results, self.where)
        if self.group:
            require(trials, self.group, "group", numeric=False)
        for metric in METRICS:
            require(results.curves, metric, "metric")
        require_seeds_only(trials, [self.group] if self.group else [], results.seeds)
        curves = curves_over_seeds(results, trials, self.group or None, METRICS).assign(loss=loss_name(trials))
        steps = trials.merge(learning_steps(results, trials, self.accuracy), on="trial_id")
        key = steps[self.group] if self.group else pd.Series(np.nan, index=steps.index)
        for name in ("memorised", "generalised"):
            median = steps.assign(key=key, **{name: steps[name].fillna(np.inf)}).groupby("key", dropna=False)[name].median()
            curves[name] = [median.loc[value] if value == value else median.iloc[0] for value in curves["group"]]
        return curves

    def draw(self, frame: pd.DataFrame, figure: Figure) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True)
        for color, styles, rows in self._groups(frame):
            for split, style in styles.items():
                tint = color or {"train": TRAIN, "test": TEST}[split]
                for axes, kind in ((upper, "error"), (lower, "loss")):
                    part = rows[rows["metric"] == f"{split}_{kind}"]
                    values = {name: part[name] for name in ("median", "low", "high")}
                    if kind == "error":
                        values = {name: 1 - column for name, column in values.items()}
                    axes.fill_between(part["step"], values["low"], values["high"], color=tint, alpha=0.15, linewidth=0)
                    axes.plot(part["step"], values["median"], style, color=tint)
            for name, dashes in MARKS.items():
                at = float(rows[name].iloc[0])
                if np.isfinite(at):
                    upper.axvline(at, color=color or MARK, linestyle=dashes, linewidth=0.9, alpha=0.9)
        upper.set_ylabel("accuracy")
        upper.set_ylim(-0.03, 1.03)
        percent(upper)
        lower.set_ylabel(frame["loss"].iloc[0])
        lower.set_yscale("log")
        lower.set_xlabel(label("step"))
        step_axis(lower)
        self._legend(frame, figure)

    def _groups(self, frame: pd.DataFrame) -> Iterator[tuple[Any, dict[str, str], pd.DataFrame]]:
        styles = {"test": "-", "train": "--"}
        if not self.group:
            yield None, styles, frame
            return
        values = sorted(frame["group"].unique())
        for value, color in zip(values, ordered_colors(len(values)), strict=True):
            yield color, styles, frame[frame["group"] == value]

    def _legend(self, frame: pd.DataFrame, figure: Figure) -> None:
        from matplotlib.lines import Line2D

        tints = (MARK, MARK) if self.group else (TEST, TRAIN)
        handles = [Line2D([], [], color=tints[0]), Line2D([], [], color=tints[1], linestyle="--")]
        handles += [Line2D([], [], color=MARK, linestyle=dashes, linewidth=0.9) for dashes in MARKS.values()]
        level = f"{100 * self.accuracy:g} %"
        names = ["test", "train", f"{level} train", f"{level} test, for good"]
        if self.group:
            values = sorted(frame["group"].unique())
            handles += [Line2D([], [], color=color, linewidth=3) for color in ordered_colors(len(values))]
            names += [text(value) for value in values]
            blanks = -len(values) % 4  # the styles fill the first column, the groups the others
            handles += [Line2D([], [], linestyle="none")] * blanks
            names += [""] * blanks
        titles = [self.title, f"colours: {label(self.group)}" if self.group else ""]
        title = "\n".join(filter(None, titles)) or None
        columns = len(handles) // 4 if self.group else 2
        figure.legend(handles, names, loc="outside upper center", ncols=columns, title=title, columnspacing=1.2)

    def caption(self, frame: pd.DataFrame) -> str:
        parts = []
        for _, _, rows in self._groups(frame):
            value, memorised, generalised = rows[["group", "memorised", "generalised"]].iloc[0]
            name = f"{label(self.group)} {text(value)}: " if self.group else ""
            test = f"{generalised:,.0f}" if np.isfinite(generalised) else "not reached"
            train = f"{memorised:,.0f}" if np.isfinite(memorised) else "not reached"
            parts.append(f"{name}train {train}, test {test}")
        trials = f"{int(frame['trials'].max())} seeds"
        return (
            f"Median over {trials}{self.selection}, band: lowest to highest. Steps to {100 * self.accuracy:g} % accuracy "
            f"(test: from which on it stays there), medians: {'; '.join(parts)}."
        )
