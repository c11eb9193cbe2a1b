"""Bias and variance against model size, and what an ensemble leaves of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ddlab.report.columns import label
from ddlab.report.ensembles import COMPONENTS, components
from ddlab.report.figures.base import MARK, TEST, TRAIN, Recipe, plain_log_ticks
from ddlab.report.frames import final_metrics
from ddlab.store.results import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")  # in the order of `COMPONENTS`
NAMES = ("bias²", "variance over data", "over features", "over both jointly")  # in the order of `COMPONENTS`


@dataclass(frozen=True)
class BiasVariance(Recipe):
    """The risk and its parts against `x`: squared bias, and variance over data, over features, and of both together.

    A dotted line shows the variance over the noise of the targets, where it is stored (measure NoiseVariance).

    From predictions at fixed test points over a grid of data seeds (`data.seed`) and feature seeds (`init_seed`, which follows
    `seed`).

    Options:
        x: a numeric column of the trials.
        x_label: of the axis; empty: the column's own.
        threshold: where to mark the interpolation threshold on x; null: nowhere.
    """

    x: str = "params_per_sample_output"
    x_label: str = ""
    threshold: float | None = None

    size = (3.5, 4.6)

    def frame(self, results: Results) -> pd.DataFrame:
        return components(final_metrics(results, self.where, [self.x]), [self.x], results.seeds)

    def draw(self, frame: pd.DataFrame, figure: Figure) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True)
        x = frame[self.x]
        upper.plot(x, frame["risk"], marker="o", color=TEST, label="one network")
        count = int(frame["feature_seeds"].max())
        upper.plot(x, frame["ensemble_risk"], "--", marker="s", color=TRAIN, label=f"ensemble of {count}")
        lower.stackplot(x, [np.maximum(frame[name], 0) for name in COMPONENTS], colors=COLORS, labels=NAMES, alpha=0.85)
        if "variance_noise" in frame:
            lower.plot(x, frame["variance_noise"], ":", color=MARK, label="of this, over noise")
        upper.set_ylabel("risk")
        lower.set_ylabel("parts of the risk")
        lower.set_xscale("log")
        plain_log_ticks(lower, "x")
        lower.set_xlabel(self.x_label or label(self.x))
        lower.set_ylim(0, 1.05 * frame["risk"].max())
        upper.set_ylim(0, 1.05 * frame["risk"].max())
        for axes in (upper, lower):
            axes.legend(loc="upper right")
            if self.threshold is not None:
                axes.axvline(self.threshold, color=MARK, linewidth=1, linestyle=":")
        if self.title:
            upper.set_title(self.title)

    def caption(self, frame: pd.DataFrame) -> str:
        variance = frame[list(COMPONENTS[1:])].sum(axis=1)
        top, best = frame.loc[variance.idxmax()], frame["ensemble_risk"].max()
        return (
            f"Risk at fixed test points and its parts against {self.x_label or label(self.x)}{self.selection}, over"
            f" {top['data_seeds']:.0f} data seeds times {top['feature_seeds']:.0f} feature seeds. The variance is largest,"
            f" {variance.max():.3g}, at {top[self.x]:.3g}, where the squared bias is {top['bias_squared']:.3g}; the ensemble's"
            f" risk is never above {best:.3g}."
        )
