"""A simulated metric against size, data or time, with the theory's line through it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ddlab.errors import ConfigError
from ddlab.report.columns import label, text
from ddlab.report.figures.base import CATEGORIES, MARK, Recipe, ordered_colors, percent, plain_log_ticks
from ddlab.report.metric_rows import metric_rows
from ddlab.report.options import check_options
from ddlab.report.theories import THEORIES, check_theory, deviation, predicted
from ddlab.store.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS = 400
MOST_CURVES = 8

# The axis ends this factor beyond the simulation, on either side; theory may go on to infinity.
MARGIN = 1.3

# How a simulation is drawn beside a theory.
DOTS: dict[str, Any] = {"marker": "o", "linestyle": "none"}


@dataclass(frozen=True)
class RiskCurve(Recipe):
    """A metric against `x`: mean over seeds (dots) with its standard error and, where a closed form is known, its line.

    Shaded: the middle 80 % of the seeds.

    Options:
        metric: a column of the curves, or ensemble_risk, variance_over_features.
        x: a numeric column of the trials, or step, or time (learning rate x step).
        x_label: of the axis; empty: the column's own.
        group: a column of the trials; one curve for each of its values.
        group_label: of the legend; empty: the column's own.
        curves: instead of a group, a list of curves, each a label and any of where, best_over, theory.
        best_over: a column of the trials, such as optimizer.weight_decay; of its values the one of least mean is taken at each x.
        theory: name of a closed form; drawn over the simulation.
        threshold: where to mark the interpolation threshold on x; null: nowhere.
        x_scale: "linear" or "log".
        y_scale: "linear" or "log".
        y_min: least value shown; null: of the simulation, or 0 on a linear scale.
    """

    metric: str = "test_loss"
    x: str = "params_per_sample_output"
    x_label: str = ""
    group: str | None = None
    group_label: str = ""
    curves: Sequence[Mapping[str, Any]] = ()
    best_over: str | None = None
    theory: str | None = None
    threshold: float | None = None
    x_scale: str = "log"
    y_scale: str = "log"
    y_min: float | None = None

    size = (3.5, 2.9)

    def check(self, name: str) -> None:
        super().check(name)
        for option in ("x_scale", "y_scale"):
            if getattr(self, option) not in ("linear", "log"):
                raise ConfigError(f"figures.{name}.{option}={getattr(self, option)}: must be linear or log")
        if self.theory is not None:
            check_theory(f"figures.{name}.theory", self.theory, self.metric, self.best_over)
        for option, scale in (("threshold", self.x_scale), ("y_min", self.y_scale)):
            if scale == "log" and (value := getattr(self, option)) is not None and value <= 0:
                raise ConfigError(f"figures.{name}.{option}={value}: must be above 0, on a log scale")
        if len(self.curves) > MOST_CURVES:
            raise ConfigError(f"figures.{name}.curves: are {len(self.curves)}; at most {MOST_CURVES} can be told apart")
        if self.curves and self.group:
            raise ConfigError(f"figures.{name}.curves: takes the place of a group; give one of the two")
        for options in self.curves:
            if not isinstance(options, Mapping) or "label" not in options:
                raise ConfigError(f"figures.{name}.curves: each must have a label")
            check_options(f"figures.{name}.curves", "a curve", _Curve, options)
        if len(dict(self._curves())) < len(self.curves):
            raise ConfigError(f"figures.{name}.curves: two have the same label")
        for _, curve in self._curves():
            if curve is not self:
                curve.check(name)

    def _curves(self) -> list[tuple[str, RiskCurve]]:
        """Return the curves by label, each a recipe of its own."""
        if not self.curves:
            return [("", self)]
        return [(options["label"], replace(self, curves=(), **_without_label(options, self.where))) for options in self.curves]

    def frame(self, results: Results) -> pd.DataFrame:
        """Return rows of kind "simulation" (mean, sem, low, high, seeds, and the theory there) and of kind "theory" (mean)."""
        if self.curves:
            return pd.concat([curve.frame(results).assign(curve=name) for name, curve in self._curves()], ignore_index=True)
        by = [self.x] if self.group is None else [self.x, self.group]
        rows = metric_rows(results, self.where, self.metric, by, self.best_over)
        rows = rows.assign(curve=rows[self.group].map(text) if self.group else "")
        if self.theory is not None:
            rows = rows.assign(theory=predicted(self.theory, self.metric, rows))
        names = list(dict.fromkeys(rows.sort_values(self.group)["curve"] if self._ordered(rows) else rows["curve"]))
        if len(names) > MOST_CURVES:
            raise ConfigError(f"group={self.group}: has {len(names)} values; at most {MOST_CURVES} can be told apart")
        return pd.concat([self._curve_frame(rows[rows["curve"] == name]).assign(curve=name) for name in names], ignore_index=True)

    def _ordered(self, rows: pd.DataFrame) -> bool:
        return self.group is not None and pd.api.types.is_numeric_dtype(rows[self.group])

    def _curve_frame(self, rows: pd.DataFrame) -> pd.DataFrame:
        values = rows.groupby(self.x)
        metric = values[self.metric]
        if not self._can_be_shown(metric.mean()).any():
            positive = " above 0, for its log scale" if self.y_scale == "log" else ""
            raise ConfigError(f"metric={self.metric}: has no finite mean{positive}")
        statistics = {"mean": metric.mean(), "sem": metric.sem(), "low": metric.quantile(0.1), "high": metric.quantile(0.9)}
        theory = values["theory"].mean() if self.theory else np.nan
        simulation = (
            pd.DataFrame({**statistics, "seeds": metric.count(), "theory": theory}).reset_index().assign(kind="simulation")
        )
        if self.theory is None or len(simulation) < 2:
            return simulation
        fine = self._between(values.head(1).sort_values(self.x))
        line = fine.assign(mean=predicted(self.theory, self.metric, fine), kind="theory")
        return pd.concat([simulation, line[[self.x, "kind", "mean"]]], ignore_index=True)

    def _between(self, settings: pd.DataFrame) -> pd.DataFrame:
        """Return the settings with many more between them, every numeric column a linear function of `x` between two settings."""
        x = settings[self.x].to_numpy(float)
        spread = np.geomspace(x[0], x[-1], POINTS) if self.x_scale == "log" and x[0] > 0 else np.linspace(x[0], x[-1], POINTS)
        fine = np.unique(np.concatenate([x, spread]))
        numeric = settings.select_dtypes("number")
        others = {column: [settings[column].iloc[0]] * len(fine) for column in settings if column not in numeric}
        return pd.DataFrame({**others, **{column: np.interp(fine, x, numeric[column].to_numpy(float)) for column in numeric}})

    def draw(self, frame: pd.DataFrame, figure: Figure) -> None:
        from matplotlib.lines import Line2D

        axes = figure.subplots()
        names = list(dict.fromkeys(frame["curve"]))
        numeric = self.group is not None and all(_numeric(name) for name in names)
        colors = ordered_colors(len(names)) if numeric else CATEGORIES
        for name, color in zip(names, colors, strict=False):
            self._draw_curve(axes, frame[frame["curve"] == name], color, name)
        if self.threshold is not None:
            axes.axvline(self.threshold, color=MARK, linewidth=1, linestyle=":")
        axes.set_xscale(self.x_scale)
        axes.set_yscale(self.y_scale)
        axes.set_ylim(*self._limits(frame))
        for which, scale in (("x", self.x_scale), ("y", self.y_scale)):
            if scale == "log":
                plain_log_ticks(axes, which)
        axes.set_xlabel(self.x_label or label(self.x))
        axes.set_ylabel(label(self.metric))
        if self.metric.endswith("error"):
            percent(axes)
        axes.set_title(self.title)
        row: dict[str, Any] = {"columnspacing": 1.0, "handletextpad": 0.3}
        if "theory" in set(frame["kind"]):
            median = median_deviation(frame)
            theory = f"theory (median deviation {median:.1%})" if np.isfinite(median) else "theory"
            marks = [
                Line2D([], [], color=MARK, label="mean of seeds" if frame["seeds"].max() > 1 else "one seed", **DOTS),
                Line2D([], [], color=MARK, label=theory),
            ]
            figure.legend(handles=marks, loc="outside upper center", ncols=2, **row)
        if len(names) > 1:
            title = self.group_label or (label(self.group) if self.group else None)
            figure.legend(title=title, loc="outside lower center", ncols=len(names) if numeric and len(names) < 6 else 2, **row)

    def _draw_curve(self, axes: Axes, rows: pd.DataFrame, color: Any, name: str) -> None:
        from matplotlib.colors import to_rgb

        simulation, line = (rows[rows["kind"] == kind] for kind in ("simulation", "theory"))
        x = simulation[self.x]
        if simulation["seeds"].max() > 1:
            axes.fill_between(x, simulation["low"], simulation["high"], color=color, alpha=0.18, linewidth=0)
        style = DOTS if len(line) else {"marker": "o"}
        axes.errorbar(x, simulation["mean"], yerr=simulation["sem"].fillna(0), color=color, elinewidth=1, label=name, **style)
        dark = [0.6 * channel for channel in to_rgb(color)]  # over the dots, which it would not be seen behind
        axes.plot(line[self.x], line["mean"].where(np.isfinite(line["mean"])), color=dark, linewidth=1, zorder=3)

    def _limits(self, frame: pd.DataFrame) -> tuple[float, float]:
        simulation = frame.loc[frame["kind"] == "simulation", ["mean", "low", "high"]]
        simulation = simulation[self._can_be_shown(simulation)]
        high, low = simulation.max(axis=None), simulation.min(axis=None)
        if self.y_scale == "linear":
            return (self.y_min or 0.0, 1.05 * high if high > 0 else 1.0)
        return (self.y_min or low / MARGIN, high * MARGIN)

    def _can_be_shown(self, values: Any) -> Any:
        return np.isfinite(values) & (values > 0) if self.y_scale == "log" else np.isfinite(values)

    def caption(self, frame: pd.DataFrame) -> str:
        simulation = frame[frame["kind"] == "simulation"]
        low, high = int(simulation["seeds"].min()), int(simulation["seeds"].max())
        seeds = f"{high:,} seeds" if low == high else f"{low:,} to {high:,} seeds"
        top = simulation.loc[simulation["mean"].idxmax()]
        group = f"{self.group_label or label(self.group)} " if self.group else ""
        named = f" ({group}{top['curve']})" if top["curve"] else ""
        sources = dict.fromkeys(THEORIES[curve.theory][1] for _, curve in self._curves() if curve.theory)
        deviates = f"; median relative deviation of the means {median_deviation(frame):.2%}"
        theory = f" Lines: {', '.join(sources)}{deviates if np.isfinite(median_deviation(frame)) else ''}."
        shown = f"mean of {seeds} with its standard error; band: the middle 80 % of the seeds" if high > 1 else "one seed"
        threshold = f" Dotted: the interpolation threshold, {self.threshold:g}." if self.threshold is not None else ""
        return (
            f"{label(self.metric)} against {self.x_label or label(self.x)}{self.selection}: {shown}."
            f"{theory if sources else ''}{threshold} Highest mean: {top['mean']:.3g} at {top[self.x]:.3g}{named}."
        )


@dataclass(frozen=True)
class _Curve:
    """Options of one of several curves."""

    label: str
    where: Mapping[str, Any] = field(default_factory=dict)
    best_over: str | None = None
    theory: str | None = None


def median_deviation(frame: pd.DataFrame) -> float:
    """Return the median of |mean / theory - 1| over the points of the simulation at which the theory is finite."""
    simulation = frame[frame["kind"] == "simulation"]
    return deviation(simulation["mean"], simulation["theory"], 0.5)


def _without_label(options: Mapping[str, Any], where: Mapping[str, Any]) -> dict[str, Any]:
    chosen = {key: value for key, value in options.items() if key != "label"}
    return {**chosen, "where": {**where, **chosen.get("where", {})}}


def _numeric(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True
