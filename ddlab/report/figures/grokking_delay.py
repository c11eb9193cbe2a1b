"""Steps to memorise and to generalise against a hyper-parameter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from ddlab.report.charts import Axis, Chart, Dots, Line, Panel, Series, positions, values
from ddlab.report.charts.chart import Marker
from ddlab.report.charts.colors import GREY, TEST, TRAIN
from ddlab.report.charts.limits import limits
from ddlab.report.columns import label, require, text
from ddlab.report.figures.base import Recipe
from ddlab.report.frames import learning_steps, median_step
from ddlab.report.options import option
from ddlab.report.selection import require_seeds_only, selected
from ddlab.store.results import Results

LEARNT: dict[str, tuple[Series, Marker]] = {
    "generalised": (Series("generalised", TEST), "circle"),
    "memorised": (Series("memorised", TRAIN), "square"),
}


@dataclass(frozen=True)
class GrokkingDelay(Recipe):
    """Steps to memorise and to generalise against `x`, one dot a seed and a line through the medians.

    A trial that never got there is a triangle at its last step: it takes longer than that. Where this is so of the median, the
    line has a gap.
    """

    x: str = option("a numeric column of the trials", "data.train_fraction")
    accuracy: float = option("what counts as learnt", 0.99, above=0, high=1)

    def frame(self, results: Results) -> pd.DataFrame:
        """Return a row for each trial and "memorised" and "generalised": the step, or the last one of the trial, `censored`."""
        trials = selected(results, self.where, finished=True)
        require(trials, self.x, "x")
        for metric in ("train_error", "test_error"):
            require(results.curves, metric, "metric")
        require_seeds_only(trials, [self.x], results.seeds)
        steps = trials.merge(learning_steps(results, trials, self.accuracy), on="trial_id")
        parts = [
            steps[[self.x, "seed"]].assign(learnt=name, step=steps[name], censored=steps[f"{name}_censored"]) for name in LEARNT
        ]
        return pd.concat(parts).sort_values(["learnt", self.x, "seed"], ignore_index=True)

    def chart(self, frame: pd.DataFrame) -> Chart:
        marks: list[Dots | Line] = []
        for name, (series, marker) in LEARNT.items():
            rows = frame[frame["learnt"] == name]
            reached, beyond = rows[~rows["censored"]], rows[rows["censored"]]
            marks.append(Dots(positions(reached, [self.x]), values(reached["step"]), series, marker, opacity=0.5))
            marks.append(Dots(positions(beyond, [self.x]), values(beyond["step"]), series, "triangle", hollow=True))
            medians = self._medians(rows)
            marks.append(Line(positions(medians, [self.x]), values(medians["step"].where(~medians["censored"])), series))
        low, high = limits("log", frame["step"], ())
        y = Axis(f"steps to {100 * self.accuracy:g} % accuracy", scale="log", low=low, high=high)
        return Chart([self._axis(frame)], [Panel(y, marks)], list(self._legend(frame)), self.title, size=(3.5, 2.8))

    def _axis(self, frame: pd.DataFrame) -> Axis:
        """Return the horizontal axis: logarithmic where there is no 0, beyond the least positive value where there is."""
        at = sorted(float(value) for value in frame[self.x].unique())
        positive = [value for value in at if value > 0]
        if not positive or at[0] < 0:
            return Axis(label(self.x), self.x, ticks=tuple(at))
        scale = "log" if positive == at else "symlog"
        return Axis(label(self.x), self.x, scale, ticks=tuple(at), linear_below=positive[0])

    def _legend(self, frame: pd.DataFrame) -> Iterator[Line | Dots]:
        yield from (Line({}, (), series, marker=marker) for series, marker in LEARNT.values())
        if frame["censored"].any():
            yield Dots({}, (), Series("not within the steps trained", GREY), "triangle", hollow=True)

    def _medians(self, rows: pd.DataFrame) -> pd.DataFrame:
        found = [(value, *median_step(at["step"], at["censored"])) for value, at in rows.groupby(self.x)]
        return pd.DataFrame(found, columns=[self.x, "step", "censored"])

    def caption(self, frame: pd.DataFrame) -> str:
        medians = {name: self._medians(frame[frame["learnt"] == name]).set_index(self.x) for name in LEARNT}
        known = ~(medians["memorised"]["censored"] | medians["generalised"]["censored"])
        ratio = (medians["generalised"]["step"] / medians["memorised"]["step"])[known]
        delay = f" The largest delay is {ratio.max():.0f}-fold, at {ratio.idxmax():g}." if len(ratio) else ""
        never = medians["generalised"].index[medians["generalised"]["censored"]]
        where = f" Most did not generalise within the steps trained at {', '.join(map(text, never))}." if len(never) else ""
        return (
            f"Steps to {100 * self.accuracy:g} % train and test accuracy against {label(self.x)}{self.selection}; dots: seeds,"
            f" lines: medians.{delay}{where}"
        )
