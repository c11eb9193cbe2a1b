"""Test and train error and loss against model size: the double descent curve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ddlab.errors import ConfigError
from ddlab.report.columns import label, loss_name, require
from ddlab.report.figures.base import MARK, TEST, TRAIN, Recipe, percent, plain_log_ticks
from ddlab.report.frames import final_metrics, over_seeds
from ddlab.store.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# On a log scale, train loss below this share of the least test loss is not shown: it falls to rounding errors.
LEAST_LOSS = 1e-3

METRICS = ("train_error", "test_error", "train_loss", "test_loss")


@dataclass(frozen=True)
class DoubleDescent(Recipe):
    """Final error (upper panel) and loss (lower) against `x`: mean over seeds and a band of one standard deviation.

    The interpolation threshold is marked where the median train error over seeds first is zero, as measured.

    Options:
        x: params_per_sample, params_per_sample_output, num_params, model.width, or any other numeric column of the trials.
        x_label: of the axis; empty: the column's own.
        loss_scale: "linear" or "log".
    """

    x: str = "params_per_sample"
    x_label: str = ""
    loss_scale: str = "linear"

    def check(self, name: str) -> None:
        super().check(name)
        if self.loss_scale not in ("linear", "log"):
            raise ConfigError(f"figures.{name}.loss_scale={self.loss_scale}: must be linear or log")

    def frame(self, results: Results) -> pd.DataFrame:
        trials = final_metrics(results, self.where, [self.x])
        for metric in METRICS:
            require(trials, metric, "metric")
        return over_seeds(trials, self.x, METRICS).assign(loss=loss_name(trials))

    def draw(self, frame: pd.DataFrame, figure: Figure) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True)
        for axes, kind in ((upper, "error"), (lower, "loss")):
            for split, color, style in (("test", TEST, "-"), ("train", TRAIN, "--")):
                self._line(axes, frame, f"{split}_{kind}", color, style, split)
        upper.set_ylabel("error")
        lower.set_ylabel(frame["loss"].iloc[0])
        upper.set_ylim(bottom=0)
        percent(upper)
        lower.set_yscale(self.loss_scale)
        if self.loss_scale == "linear":
            lower.set_ylim(bottom=0)
        else:
            lower.set_ylim(bottom=LEAST_LOSS * frame.loc[frame["metric"] == "test_loss", "mean"].min())
        lower.set_xlabel(self._x_label)
        lower.set_xscale("log")
        plain_log_ticks(lower, "x")
        threshold = interpolation_threshold(frame, self.x)
        for axes in (upper, lower):
            if threshold is not None:
                axes.axvline(threshold, color=MARK, linewidth=1, linestyle=":", label=f"train error 0 at {threshold:.3g}")
        upper.legend(loc="upper center", bbox_to_anchor=(0.5, 1.22), ncols=3, columnspacing=1.2, handlelength=1.6)
        if self.title:
            upper.set_title(self.title, pad=22)

    def _line(self, axes: Axes, frame: pd.DataFrame, metric: str, color: str, style: str, text: str) -> None:
        rows = frame[frame["metric"] == metric]
        x, mean, sd = (rows[name].to_numpy(float) for name in (self.x, "mean", "sd"))
        low = np.maximum(mean - sd, mean * 1e-2) if metric.endswith("loss") else mean - sd
        axes.fill_between(x, low, mean + sd, color=color, alpha=0.2, linewidth=0)
        axes.plot(x, mean, style, color=color, marker="o" if style == "-" else None, label=text)

    def caption(self, frame: pd.DataFrame) -> str:
        peaks = [self._peak(frame, name) for name in ("loss", "error")]
        threshold = interpolation_threshold(frame, self.x)
        reached = f"train error is zero from {threshold:.3g} on" if threshold is not None else "train error never reaches zero"
        low, high = int(frame["trials"].min()), int(frame["trials"].max())
        seeds = f"{high} seeds" if low == high else f"{low} to {high} seeds"
        shown = f"mean of {seeds}, band: one standard deviation" if high > 1 else "one seed"
        return f"Final metrics against {self._x_label}{self.selection}; {shown}. Measured: {peaks[0]}, {peaks[1]}, {reached}."

    @property
    def _x_label(self) -> str:
        return self.x_label or label(self.x)

    def _peak(self, frame: pd.DataFrame, name: str) -> str:
        rows = frame[frame["metric"] == f"test_{name}"]
        peak = clear_peak(rows)
        if peak is None:
            return f"test {name} has no clear interior peak"
        before, after = rows.loc[:peak, "mean"].min(), rows.loc[peak:, "mean"].min()
        form = ".1%" if name == "error" else ".3g"
        return (
            f"test {name} rises from {before:{form}} to {rows.loc[peak, 'mean']:{form}} at {rows.loc[peak, self.x]:.3g} "
            f"and falls to {after:{form}}"
        )


def interpolation_threshold(frame: pd.DataFrame, x: str) -> float | None:
    """Return the least `x` at which the median train error over seeds is zero; None where it never is."""
    rows = frame[(frame["metric"] == "train_error") & (frame["median"] == 0)]
    return float(rows[x].min()) if len(rows) else None


def clear_peak(rows: pd.DataFrame) -> int | None:
    """Return the index of the highest mean to which the curve has risen, and from which it falls, clearly; else None.

    Clearly: by more than twice the peak's standard deviation over seeds.
    """
    clear = rows["mean"] - rows["mean"].cummin() > 2 * rows["sd"]
    if not clear.any():
        return None
    peak = int(rows["mean"].where(clear).idxmax())
    top = rows.loc[peak]
    return peak if top["mean"] - rows.loc[peak:, "mean"].min() > 2 * top["sd"] else None
