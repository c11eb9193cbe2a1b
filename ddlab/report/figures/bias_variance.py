"""Bias and variance against model size, and what an ensemble leaves of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ddlab.report.charts import Axis, Band, Chart, Line, Panel, Rule, Series, positions, values
from ddlab.report.charts.colors import GREY, TEST, TRAIN
from ddlab.report.charts.limits import limits
from ddlab.report.columns import label
from ddlab.report.ensembles import COMPONENTS, components
from ddlab.report.figures.base import Recipe
from ddlab.report.frames import final_metrics
from ddlab.report.options import option
from ddlab.store.results import Results

# In the order of `COMPONENTS`.
PARTS = (
    Series("bias²", "#0072B2"),
    Series("variance over data", "#E69F00"),
    Series("variance over features", "#009E73"),
    Series("variance over both", "#CC79A7"),
)
OPACITY = 0.85


@dataclass(frozen=True)
class BiasVariance(Recipe):
    """The risk and its parts against `x`: squared bias, and variance over data, over features, and of both together.

    A dotted line shows how much of all variance is over the noise of the targets, where that is stored (measure NoiseVariance).

    From predictions at fixed test points over a grid of data seeds (`data.seed`) and feature seeds (`init_seed`, which follows
    `seed`).
    """

    x: str = option("a numeric column of the trials", "params_per_sample_output")
    x_label: str = option("of the axis; empty: the column's own", "")
    threshold: float | None = option("where on x the interpolation threshold is marked; null: nowhere", None)

    def frame(self, results: Results) -> pd.DataFrame:
        return components(final_metrics(results, self.where, [self.x]), [self.x], results.seeds)

    def chart(self, frame: pd.DataFrame) -> Chart:
        x = positions(frame, [self.x])
        one = Line(x, values(frame["risk"]), Series("one network", TEST), marker="circle")
        ensemble = Series(f"ensemble of {int(frame['feature_seeds'].max())}", TRAIN)
        together = Line(x, values(frame["ensemble_risk"]), ensemble, "dashed", "square")
        rules = [] if self.threshold is None else [Rule({self.x: self.threshold}, Series("threshold", GREY))]
        parts = self._parts(frame)
        low, high = limits("linear", [0.0, *frame["risk"]], ())
        panels = [
            Panel(Axis("risk", low=low, high=high), [*rules, one, together]),
            Panel(Axis("parts of the risk", low=low, high=high), [*parts, *rules]),
        ]
        axis = Axis(self.x_label or label(self.x), self.x, "log")
        return Chart([axis], panels, [one, together, *parts, *rules], self.title, size=(3.5, 4.8))

    def _parts(self, frame: pd.DataFrame) -> Sequence[Band | Line]:
        """Return the parts, each on top of those before it, and the share of all variance that noise makes."""
        x = positions(frame, [self.x])
        tops = np.cumsum([np.zeros(len(frame)), *(np.maximum(frame[name], 0) for name in COMPONENTS)], axis=0)
        ends = zip(PARTS, tops[:-1], tops[1:], strict=True)
        bands = [Band(x, values(low), values(high), series, OPACITY) for series, low, high in ends]
        if "variance_noise" not in frame:
            return bands
        noise = Series("variance over noise", GREY)
        return [*bands, Line(x, values(frame["variance_noise"]), noise, "dotted")]

    def caption(self, frame: pd.DataFrame) -> str:
        x = self.x_label or label(self.x)
        variance = frame[list(COMPONENTS[1:])].sum(axis=1)
        top, best = frame.loc[variance.idxmax()], frame["ensemble_risk"].max()
        noise = f" ({top['variance_noise']:.3g} of it over the noise of the targets)" if "variance_noise" in frame else ""
        return (
            f"Risk at fixed test points and its parts against {x}{self.selection}, over {top['data_seeds']:.0f} data seeds times"
            f" {top['feature_seeds']:.0f} feature seeds. The variance is largest, {variance.max():.3g}{noise}, at"
            f" {top[self.x]:.3g}, where the squared bias is {top['bias_squared']:.3g}; the ensemble's risk is never above"
            f" {best:.3g}."
        )
