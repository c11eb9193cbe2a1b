"""A metric over model size and training time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ddlab.errors import ConfigError
from ddlab.report.columns import label, loss_name, require
from ddlab.report.figures.base import Recipe, plain_log_ticks
from ddlab.report.frames import metric_table
from ddlab.report.selection import require_seeds_only, selected
from ddlab.store.results import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Heatmap(Recipe):
    """Mean over seeds of a metric, colour, against steps (horizontal) and `y` (vertical), both on log scales.

    A white line marks where the mean train error falls below 1 %.

    Options:
        metric: a column of the curves.
        y: a numeric column of the trials.
    """

    metric: str = "test_error"
    y: str = "model.width"

    size = (3.5, 2.8)

    def frame(self, results: Results) -> pd.DataFrame:
        trials = selected(results, self.where)
        require(trials, self.y, "y")
        require(results.curves, self.metric, "metric")
        require_seeds_only(trials, [self.y], results.seeds)
        if trials[self.y].min() <= 0:
            raise ConfigError(f"y={self.y}: must be positive, for its log scale")
        metrics = [name for name in dict.fromkeys((self.metric, "train_error")) if name in results.curves]
        sizes = trials.set_index("trial_id")[self.y]
        means = {}
        for metric in metrics:
            rows = metric_table(results, trials, metric).melt(ignore_index=False, value_name=metric).reset_index()
            means[metric] = rows.groupby([rows["trial_id"].map(sizes).rename(self.y), "step"])[metric].mean()
        frame = pd.DataFrame(means).reset_index()
        reached = results.curves["step"].groupby(results.curves["trial_id"].map(sizes)).max()
        frame = frame[frame["step"] <= frame[self.y].map(reached)].assign(loss=loss_name(trials))
        return frame[(frame["step"] > 0) & frame[self.metric].notna()].sort_values([self.y, "step"], ignore_index=True)

    def draw(self, frame: pd.DataFrame, figure: Figure) -> None:
        from matplotlib.colors import LogNorm
        from matplotlib.ticker import FuncFormatter, PercentFormatter

        axes = figure.subplots()
        values = frame.pivot_table(index=self.y, columns="step", values=self.metric)
        steps, sizes = values.columns.to_numpy(float), values.index.to_numpy(float)
        fractions = self.metric.endswith("error")
        norm = None if fractions else LogNorm()
        mesh = axes.pcolormesh(_edges(steps), _edges(sizes), values.to_numpy(), cmap="cividis", norm=norm, rasterized=True)
        if _has_contour(frame, self.y):
            train = frame.pivot_table(index=self.y, columns="step", values="train_error").to_numpy()
            axes.contour(steps, sizes, train, levels=[0.01], colors="white", linewidths=1.2)
        for which in ("x", "y"):
            getattr(axes, f"set_{which}scale")("log")
            plain_log_ticks(axes, which)
        axes.grid(False)
        axes.set_xlabel(label("step"))
        axes.set_ylabel(label(self.y))
        form = PercentFormatter(1.0, 0) if fractions else FuncFormatter(lambda value, _: f"{value:g}")
        bar = figure.colorbar(mesh, ax=axes, label=self._metric_label(frame), format=form)
        bar.ax.yaxis.set_minor_formatter(form)
        if self.title:
            axes.set_title(self.title)

    def _metric_label(self, frame: pd.DataFrame) -> str:
        split, _, kind = self.metric.partition("_")
        return f"{split} {frame['loss'].iloc[0]}" if kind == "loss" else label(self.metric)

    def caption(self, frame: pd.DataFrame) -> str:
        worst = frame.loc[frame[self.metric].idxmax()]
        line = "; white line: train error 1 %" if _has_contour(frame, self.y) else ""
        return (
            f"Mean {label(self.metric)} over seeds{self.selection}{line}. "
            f"Highest: {worst[self.metric]:.3g} at {label(self.y)} {worst[self.y]:g}, step {worst['step']:,.0f}."
        )


def _has_contour(frame: pd.DataFrame, y: str) -> bool:
    if "train_error" not in frame or min(frame[y].nunique(), frame["step"].nunique()) < 2:
        return False
    return frame["train_error"].min() < 0.01 < frame["train_error"].max()


def _edges(centers: np.ndarray) -> np.ndarray:
    """Return the cell edges of positive centres, halfway on a log scale."""
    logs = np.log(centers)
    if len(logs) == 1:
        return np.exp(np.array([logs[0] - 0.5, logs[0] + 0.5]))
    middle = (logs[:-1] + logs[1:]) / 2
    return np.exp(np.concatenate([[2 * logs[0] - middle[0]], middle, [2 * logs[-1] - middle[-1]]]))
