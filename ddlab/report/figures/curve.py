"""Metrics against size, data or time: double descent, and risks with the theory's line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ddlab.errors import ConfigError
from ddlab.report.charts import Axis, Chart
from ddlab.report.charts.colors import CATEGORIES
from ddlab.report.charts.limits import can_show
from ddlab.report.columns import label, label_among
from ddlab.report.ensembles import ENSEMBLE_METRICS
from ddlab.report.figures.base import Recipe
from ddlab.report.figures.curve_caption import CurveCaption
from ddlab.report.figures.curve_chart import CurveChart
from ddlab.report.figures.curve_frame import CurveRows
from ddlab.report.figures.curve_parts import SCALES, CurvePart, PanelPart, check_levels, check_metrics, check_parts
from ddlab.report.options import option
from ddlab.report.selection import check_selection, matching, with_ratios
from ddlab.report.stopping import stopped_at
from ddlab.report.theories import check_theory
from ddlab.store.results import Results

MOST_CURVES = len(CATEGORIES)

# What the recipe `double_descent` stands for.
DOUBLE_DESCENT: dict[str, Any] = {
    "x": "params_per_sample",
    "y_scale": "linear",
    "panels": ({"metrics": ("test_error", "train_error"), "y_scale": "linear"}, {"metrics": ("test_loss", "train_loss")}),
}


@dataclass(frozen=True)
class Curve(Recipe):
    """Metrics against `x`: mean or median over seeds and a band, in one panel or several; where a closed form is known, its line.

    The band is the middle 80 % of the seeds; of fewer than five, all from the lowest to the highest. Where the train error is
    shown, the interpolation threshold is marked where its median over seeds first is zero, as measured; along the number of
    examples, where it last is.
    """

    metric: str = option(f"a column of the curves, or of an ensemble: {', '.join(ENSEMBLE_METRICS)}", "test_loss")
    panels: Sequence[Mapping[str, Any]] = option("instead of a metric: of each panel its metrics, and y_scale, y_min, levels", ())
    x: str = option("a numeric column of the trials, or step, or time (learning rate x step)", "params_per_sample_output")
    x_label: str = option("of the axis; empty: the column's own", "")
    group: str | None = option("a column of the trials; one curve for each of its values", None)
    group_label: str = option("what the groups are; empty: the column's own", "")
    curves: Sequence[Mapping[str, Any]] = option(
        "instead of a group: of each curve its label, and where, best_over, theory, stop_by", ()
    )
    best_over: str | None = option("a column of the trials; of its values the one of least mean is taken at each x", None)
    theory: str | None = option("name of a closed form, drawn over the simulation", None)
    middle: str = option("of the seeds: mean or median, as of a heavy tail", "mean", choices=("mean", "median"))
    stop_by: str | None = option("a metric of each trial: shown is where that was least, not its last step", None)
    threshold: float | None = option("where on x the interpolation threshold is; null: it is not known beforehand", None)
    x_scale: str = option("of the horizontal axis", "log", choices=SCALES)
    y_scale: str = option("of the vertical axis", "log", choices=SCALES)
    y_min: float | None = option("least value shown; null: it fits the metric", None)
    levels: Mapping[str, Any] = option("horizontal lines, such as what a guess would have: name -> value", dict)

    def check(self, name: str) -> None:
        super().check(name)
        check_parts(f"figures.{name}.panels", PanelPart, self.panels)
        check_parts(f"figures.{name}.curves", CurvePart, self.curves)
        self._check_curves(name)
        for panel in self.all_panels:
            check_metrics(f"figures.{name}.panels", panel.metrics)
            check_levels(f"figures.{name}", panel)
        on_axes = [("threshold", self.x_scale, self.threshold)]
        on_axes += [("y_min", panel.y_scale, panel.y_min) for panel in self.all_panels]
        for key, scale, value in on_axes:
            if scale == "log" and value is not None and value <= 0:
                raise ConfigError(f"figures.{name}.{key}={value}: must be above 0, on a log scale")

    def _check_curves(self, name: str) -> None:
        if self.curves and self.group:
            raise ConfigError(f"figures.{name}.curves: takes the place of a group; give one of the two")
        if len(self.curves) > MOST_CURVES:
            raise ConfigError(f"figures.{name}.curves: are {len(self.curves)}; at most {MOST_CURVES} can be told apart")
        if len({curve.label for curve in self.all_curves}) < len(self.curves):
            raise ConfigError(f"figures.{name}.curves: two have the same label")
        for curve in self.all_curves:
            check_selection(f"figures.{name}.curves.where", curve.where)
            for metric in self.metrics if curve.theory is not None else ():
                check_theory(f"figures.{name}.theory", str(curve.theory), metric, curve.best_over)

    @property
    def all_panels(self) -> list[PanelPart]:
        """The panels; one of the `metric` where none are given."""
        own = {"metrics": (self.metric,), "y_scale": self.y_scale, "y_min": self.y_min, "levels": self.levels}
        return [PanelPart(**{**own, **entry}) for entry in self.panels or ({},)]

    @property
    def all_curves(self) -> list[CurvePart]:
        """The curves; one without a name where none are given."""
        own = {"label": "", "best_over": self.best_over, "theory": self.theory, "stop_by": self.stop_by}
        entries = self.curves or ({},)
        return [CurvePart(**{**own, **entry, "where": {**self.where, **entry.get("where", {})}}) for entry in entries]

    @property
    def metrics(self) -> list[str]:
        """The metrics of all panels."""
        return list(dict.fromkeys(metric for panel in self.all_panels for metric in panel.metrics))

    def frame(self, results: Results) -> pd.DataFrame:
        """Return the rows of `CurveRows.frame` of all curves and metrics, with the label of each metric."""
        curves = [CurveRows(results, curve, self.x, self.x_scale, self.group, self.middle) for curve in self.all_curves]
        frame = pd.concat([curve.frame(metric) for curve in curves for metric in self.metrics], ignore_index=True)
        shown = matching(with_ratios(results.trials), self.where)
        frame["label"] = frame["metric"].map({metric: label_among(metric, shown) for metric in self.metrics})
        if (number := frame["curve"].nunique()) > MOST_CURVES:
            raise ConfigError(f"group={self.group}: has {number} values; at most {MOST_CURVES} can be told apart")
        for panel in self.all_panels:
            means = frame.loc[(frame["metric"] == panel.metrics[0]) & (frame["kind"] == "simulation"), "middle"]
            if not can_show(panel.y_scale, means).any():
                positive = " above 0, for its log scale" if panel.y_scale == "log" else ""
                raise ConfigError(f"metric={panel.metrics[0]}: has no finite {self.middle}{positive}")
        return frame

    def chart(self, frame: pd.DataFrame) -> Chart:
        group = (self.group_label or label(self.group)) if self.group else ""
        return CurveChart(frame, self._axes(frame), self.all_panels, group, self.threshold, self.middle, self.title).chart()

    def _axes(self, frame: pd.DataFrame) -> list[Axis]:
        """Return `x`, and what else it may be read as."""
        others = [column for column in frame.columns[1 : frame.columns.get_loc("metric")] if column != self.x]
        return [self._axis, *(Axis(label(column), column, self.x_scale) for column in others)]

    @property
    def _axis(self) -> Axis:
        return Axis(self.x_label or label(self.x), self.x, self.x_scale)

    def caption(self, frame: pd.DataFrame) -> str:
        theories = dict.fromkeys(curve.theory for curve in self.all_curves if curve.theory)
        group = (self.group_label or label(self.group)) if self.group else ""
        caption = CurveCaption(
            frame, self._axis, self.all_panels, group, self.threshold, self.middle, list(theories), self._stops
        )
        return caption.text(self.selection)

    @property
    def _stops(self) -> dict[str, str]:
        """Return where the trials of curves are taken, but at their last step: the name of a curve -> in words."""
        return {curve.label: stopped_at(curve.stop_by) for curve in self.all_curves if curve.stop_by}
