"""Accuracy and loss against log steps: grokking curves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ddlab.report.charts import Axis, Band, Chart, Line, Mark, Note, Panel, Series, Span, positions, values
from ddlab.report.charts.chart import Dash
from ddlab.report.charts.colors import GREY, TEST, TRAIN, group_series, is_ordered
from ddlab.report.columns import label, quantity, require, text
from ddlab.report.figures.base import Recipe
from ddlab.report.figures.phases import Phases, over_seeds, phases, words
from ddlab.report.frames import curves_over_seeds
from ddlab.report.options import option
from ddlab.report.selection import require_seeds_only, selected
from ddlab.store.results import Results

METRICS = ("train_error", "test_error", "train_loss", "test_loss")
DASHES: dict[str, Dash] = {"test": "solid", "train": "dashed"}
SPLITS = {"test": Series("test", TEST), "train": Series("train", TRAIN)}


@dataclass(frozen=True)
class Grokking(Recipe):
    """Accuracy (upper panel) and loss (lower) against steps: median over seeds, band from lowest to highest.

    Where there are no groups, the steps are shaded between which the trials have memorised and not yet generalised: from where
    train accuracy first is `accuracy` until test accuracy is, medians of Kaplan and Meier. Those of groups are in the caption.
    """

    group: str = option("a column of the trials; one colour for each of its values", "")
    accuracy: float = option("what counts as learnt", 0.99, above=0, high=1)

    def frame(self, results: Results) -> pd.DataFrame:
        """Return rows of each metric along the steps (median, low, high), and of "memorised" and "generalised" at one step.

        A median step that is beyond what is known is the last step of the trials, and `censored`. Here `groks` counts the
        trials that do (`ddlab.report.crossings.grokked`).
        """
        trials = selected(results, self.where)
        if self.group:
            require(trials, self.group, "group", numeric=False)
        for metric in METRICS:
            require(results.curves, metric, "metric")
        require_seeds_only(trials, [self.group] if self.group else [], results.seeds)
        curves = curves_over_seeds(results, trials, self.group or None, METRICS)
        groups = trials.groupby(self.group, dropna=False) if self.group else [(np.nan, trials)]
        learnt = [row | {"group": value} for value, members in groups for row in phases(results, members, self.accuracy).rows()]
        frame = pd.concat([curves.assign(censored=False), pd.DataFrame(learnt)], ignore_index=True)
        return frame.assign(loss=quantity("train_loss", results, trials))

    def chart(self, frame: pd.DataFrame) -> Chart:
        groups = list(self._groups(frame))
        marks: dict[str, list[Mark]] = {"error": [], "loss": []}
        for series, rows in groups:
            for split, dash in DASHES.items():
                tint = series if self.group else SPLITS[split]
                for kind in marks:
                    marks[kind] += self._curve(rows[rows["metric"] == f"{split}_{kind}"], tint, dash, kind)
        legend: list[Line | Span] = []
        if self.group:
            legend += [Line({}, (), Series(split, GREY), DASHES[split]) for split in DASHES]
        else:
            marks["error"] += self._names(frame)
        if self._end_together(groups):
            marks["loss"] += [self._end_label(rows, series) for series, rows in groups]
        elif self.group:
            legend += [Line({}, (), series) for series, _ in groups]
        between = [] if self.group else Phases.of(frame).spans()
        panels = [
            Panel(Axis("accuracy", low=-0.03, high=1.03, percent=True), [*between, *marks["error"]]),
            Panel(Axis(frame["loss"].iloc[0], scale="log"), [*between, *marks["loss"]]),
        ]
        steps = Axis(label("step"), "step", "symlog", low=0.0, high=float(frame["step"].max()))
        colors = label(self.group) if self.group else ""
        return Chart([steps], panels, [*legend, *between], self.title, colors, size=(3.5, 4.0))

    def _groups(self, frame: pd.DataFrame) -> list[tuple[Series, pd.DataFrame]]:
        """Return the rows of each group with its series; of all trials where they are one group."""
        if not self.group:
            return [(Series("", GREY), frame)]
        groups = list(frame.groupby("group", dropna=False))
        every = group_series([value for value, _ in groups], [text(value) for value, _ in groups])
        return [(series, rows) for series, (_, rows) in zip(every, groups, strict=True)]

    def _end_together(self, groups: Sequence[tuple[Series, pd.DataFrame]]) -> bool:
        """Whether the curves of groups end at one step, so that their names, where they are short, may stand there."""
        return is_ordered([series.value for series, _ in groups]) and len({rows["step"].max() for _, rows in groups}) == 1

    def _curve(self, rows: pd.DataFrame, series: Series, dash: Dash, kind: str) -> Iterator[Mark]:
        middle, low, high = (1 - rows[name] if kind == "error" else rows[name] for name in ("median", "low", "high"))
        x = positions(rows, ["step"])
        yield Band(x, values(low), values(high), series, 0.15)
        yield Line(x, values(middle), series, dash)

    def _end_label(self, rows: pd.DataFrame, series: Series) -> Note:
        test = rows[(rows["metric"] == "test_loss") & np.isfinite(rows["median"])]
        last = test.iloc[-1]
        return Note({"step": float(last["step"])}, float(last["median"]), series.label, series)

    def _names(self, frame: pd.DataFrame) -> Iterator[Note]:
        """Yield the name of each split, beside where its accuracy first is half of its highest; of a flat one at the end."""
        for split, series in SPLITS.items():
            rows = frame[(frame["metric"] == f"{split}_error") & np.isfinite(frame["median"])]
            accuracies = 1 - rows["median"].to_numpy()
            at = rows.iloc[int(np.argmax(accuracies >= accuracies.max() / 2)) or -1]
            yield Note({"step": float(at["step"])}, float(1 - at["median"]), split, series, "left")

    def caption(self, frame: pd.DataFrame) -> str:
        found = {series.label: Phases.of(rows) for series, rows in self._groups(frame)}
        name = f"{label(self.group)} " if self.group else ""
        times = "; ".join(f"{name}{value}: {group.times()}" if name else group.times() for value, group in found.items())
        return (
            f"{over_seeds(frame)}{self.selection}, band: lowest to highest. First steps with"
            f" {100 * self.accuracy:g} % accuracy, medians (Kaplan-Meier): {times}. {words(list(found.values()))}"
        )
