"""Accuracy and loss against log steps: grokking curves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ddlab.report.charts import Axis, Band, Chart, Line, Mark, Note, Panel, Rule, Series, positions, values
from ddlab.report.charts.chart import Dash
from ddlab.report.charts.colors import GREY, TEST, TRAIN, group_series, is_ordered
from ddlab.report.columns import label, quantity, require, text
from ddlab.report.figures.base import Recipe
from ddlab.report.frames import curves_over_seeds, learning_steps, median_step
from ddlab.report.options import option
from ddlab.report.selection import require_seeds_only, selected
from ddlab.store.results import Results

METRICS = ("train_error", "test_error", "train_loss", "test_loss")
DASHES: dict[str, Dash] = {"test": "solid", "train": "dashed"}
SPLITS = {"test": Series("test", TEST), "train": Series("train", TRAIN)}

# When the trials have learnt -> how that is marked.
LEARNT: dict[str, Dash] = {"memorised": "dotted", "generalised": "dashed"}


@dataclass(frozen=True)
class Grokking(Recipe):
    """Accuracy (upper panel) and loss (lower) against steps: median over seeds, band from lowest to highest.

    Vertical lines mark the median steps at which the trials memorised (train accuracy reaches `accuracy`) and generalised
    (test accuracy stays at or above it at every later eval point); those of groups are in the caption.
    """

    group: str = option("a column of the trials; one colour for each of its values", "")
    accuracy: float = option("what counts as learnt", 0.99, above=0, high=1)

    def frame(self, results: Results) -> pd.DataFrame:
        """Return rows of each metric along the steps (median, low, high), and of "memorised" and "generalised" at one step.

        A median step that no trial got to is the last step of the trials, and `censored`.
        """
        trials = selected(results, self.where)
        if self.group:
            require(trials, self.group, "group", numeric=False)
        for metric in METRICS:
            require(results.curves, metric, "metric")
        require_seeds_only(trials, [self.group] if self.group else [], results.seeds)
        curves = curves_over_seeds(results, trials, self.group or None, METRICS)
        steps = trials.merge(learning_steps(results, trials, self.accuracy), on="trial_id")
        groups = steps.groupby(self.group) if self.group else [(np.nan, steps)]
        learnt = []
        for value, members in groups:
            for name in LEARNT:
                step, censored = median_step(members[name], members[f"{name}_censored"])
                learnt.append({"group": value, "step": step, "metric": name, "trials": len(members), "censored": censored})
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
        legend = [Line({}, (), Series(split, GREY if self.group else SPLITS[split].color), DASHES[split]) for split in DASHES]
        if self._end_together(groups):
            marks["loss"] += [self._end_label(rows, series) for series, rows in groups]
        elif self.group:
            legend += [Line({}, (), series) for series, _ in groups]
        rules = [] if self.group else list(self._rules(frame))
        panels = [
            Panel(Axis("accuracy", low=-0.03, high=1.03, percent=True), [*rules, *marks["error"]]),
            Panel(Axis(frame["loss"].iloc[0], scale="log"), [*rules, *marks["loss"]]),
        ]
        steps = Axis(label("step"), "step", "symlog", low=0.0, high=float(frame["step"].max()))
        colors = label(self.group) if self.group else ""
        return Chart([steps], panels, [*legend, *rules], self.title, colors, size=(3.5, 4.0))

    def _groups(self, frame: pd.DataFrame) -> list[tuple[Series, pd.DataFrame]]:
        """Return the rows of each group with its series; of all trials where they are one group."""
        if not self.group:
            return [(Series("", GREY), frame)]
        values = sorted(frame["group"].unique())
        every = group_series(values, [text(value) for value in values])
        return [(series, frame[frame["group"] == value]) for value, series in zip(values, every, strict=True)]

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

    def _rules(self, frame: pd.DataFrame) -> Iterator[Rule]:
        for name, dash in LEARNT.items():
            (row,) = frame[frame["metric"] == name].to_dict("records")
            if not row["censored"]:
                yield Rule({"step": float(row["step"])}, Series(f"{name} (step {row['step']:,.0f})", GREY), dash)

    def caption(self, frame: pd.DataFrame) -> str:
        parts = []
        for series, rows in self._groups(frame):
            learnt = rows[rows["metric"].isin(list(LEARNT))].set_index("metric")
            train, test = (f"{'not by ' if row['censored'] else ''}{row['step']:,.0f}" for _, row in learnt.iterrows())
            parts.append(f"{f'{label(self.group)} {series.label}: ' if self.group else ''}train {train}, test {test}")
        return (
            f"Median over {int(frame['trials'].max())} seeds{self.selection}, band: lowest to highest. Steps to"
            f" {100 * self.accuracy:g} % accuracy (test: from which on it stays there), medians: {'; '.join(parts)}."
        )
