"""A metric over model size and training time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ddlab.errors import ConfigError
from ddlab.report.charts import Axis, Chart, HeatMap, Line, Mark, Note, Panel, Series, values
from ddlab.report.charts.chart import Values
from ddlab.report.charts.colors import WHITE
from ddlab.report.columns import is_share, label, named, number, place, quantity, require
from ddlab.report.figures.base import Recipe
from ddlab.report.figures.peaks import clear_peak
from ddlab.report.frames import metric_table
from ddlab.report.options import option
from ddlab.report.selection import require_seeds_only, selected
from ddlab.store.results import Results

# Train error at which the training set counts as learnt.
LEARNT = 0.01


@dataclass(frozen=True)
class Heatmap(Recipe):
    """Mean over seeds of a metric, colour, against steps (horizontal) and `y` (vertical), both on log scales.

    The colours span what the metric is at the end of training, and all that is less: higher values, as before training, are shown
    as the highest. A white line marks where the mean train error falls below 1 %.
    """

    metric: str = option("a column of the curves", "test_error")
    y: str = option("a numeric column of the trials", "model.width")

    def frame(self, results: Results) -> pd.DataFrame:
        """Return the mean and the standard deviation over seeds of the metric, and the mean train error, at each y and step."""
        trials = selected(results, self.where)
        require(trials, self.y, "y")
        require(results.curves, self.metric, "metric")
        require_seeds_only(trials, [self.y], results.seeds)
        if trials[self.y].min() <= 0:
            raise ConfigError(f"y={self.y}: must be positive, for its log scale")
        sizes = trials.set_index("trial_id")[self.y]
        columns = {}
        for metric in dict.fromkeys((self.metric, "train_error")):
            if metric in results.curves:
                rows = metric_table(results, trials, metric).melt(ignore_index=False, value_name=metric).reset_index()
                at = rows.groupby([rows["trial_id"].map(sizes).rename(self.y), "step"])[metric]
                columns[metric] = at.mean()
                if metric == self.metric:
                    columns["sd"] = at.std().fillna(0.0)
        frame = pd.DataFrame(columns).reset_index()
        reached = results.curves["step"].groupby(results.curves["trial_id"].map(sizes)).max()
        frame = frame[frame["step"] <= frame[self.y].map(reached)].assign(quantity=quantity(self.metric, results, trials))
        shown = frame[(frame["step"] > 0) & frame[self.metric].notna()]
        if shown.empty:
            raise ConfigError(f"metric={self.metric}: was not measured (all nan)")
        return shown.sort_values([self.y, "step"], ignore_index=True)

    def chart(self, frame: pd.DataFrame) -> Chart:
        cells = frame.pivot_table(index=self.y, columns="step", values=self.metric)
        steps = {"step": values(cells.columns)}
        rows = tuple(values(row) for row in cells.to_numpy())
        marks: list[Mark] = [HeatMap(steps, values(cells.index), rows, self._colors(frame)), *self._learnt(frame)]
        y = Axis(label(self.y), scale="log")
        return Chart([Axis(label("step"), "step", "log")], [Panel(y, marks)], title=self.title, size=(3.5, 2.8))

    def _colors(self, frame: pd.DataFrame) -> Axis:
        is_percent = is_share(self.metric)
        name = named(self.metric, str(frame["quantity"].iloc[0]))
        low, high = float(frame[self.metric].min()), float(self._last(frame)[self.metric].max())
        scale = "linear" if is_percent or low <= 0 else "log"
        return Axis(name, scale=scale, low=low, high=high if high > low else None, percent=is_percent)

    def _last(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of the last step of each y."""
        return frame.groupby(self.y).tail(1)

    def _learnt(self, frame: pd.DataFrame) -> list[Mark]:
        """Return the line along which the train error falls below `LEARNT`, with its name; nothing where it never does."""
        if "train_error" not in frame:
            return []
        sizes, steps = zip(*((size, _crossing(rows)) for size, rows in frame.groupby(self.y)), strict=True)
        found = np.flatnonzero(np.isfinite(steps))
        if len(found) < 2:
            return []
        series, top = Series(f"train error {100 * LEARNT:g} %", WHITE), found[-1]
        at: Values = values(steps)
        return [
            Line({"step": at}, values(sizes), series),
            Note({"step": float(steps[top])}, float(sizes[top]), series.label, series, "left"),
        ]

    def caption(self, frame: pd.DataFrame) -> str:
        last = self._last(frame).reset_index(drop=True)
        peak = clear_peak(last.assign(middle=last[self.metric]))
        top = last.loc[last[self.metric].idxmax() if peak is None else peak]
        is_most = top[self.metric] == last[self.metric].max()
        what = "is highest" if peak is None else "peaks" if is_most else "is highest after its first minimum"
        at_end = f"{what}, {number(self.metric, top[self.metric])}, at {label(self.y)} {place(top[self.y])}"
        line = f"; white line: train error {100 * LEARNT:g} %" if self._learnt(frame) else ""
        return f"Mean {label(self.metric)} over seeds{self.selection}{line}. At the end of training it {at_end}."


def _crossing(rows: pd.DataFrame) -> float:
    """Return the step at which the train error first falls below `LEARNT`, between eval points on a log scale; nan: never.

    Args:
        rows: of one size, along the steps.
    """
    below = np.flatnonzero(rows["train_error"] < LEARNT)
    if not len(below) or below[0] == 0:
        return np.nan
    between = rows.iloc[below[0] - 1 : below[0] + 1]
    error, step = between["train_error"].to_numpy(), np.log(between["step"].to_numpy(float))
    return float(np.exp(np.interp(-LEARNT, -error, step)))
