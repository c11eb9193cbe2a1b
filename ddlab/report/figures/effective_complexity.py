"""Effective model complexity: how many examples are still learnt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ddlab.errors import ConfigError
from ddlab.report.charts import Axis, Bars, Chart, Dots, Line, Mark, Note, Panel, Series, positions, values
from ddlab.report.charts.chart import Marker
from ddlab.report.charts.colors import GREY, TRAIN, group_series, is_ordered
from ddlab.report.charts.limits import FACTOR
from ddlab.report.columns import label, require, text
from ddlab.report.crossings import Level, make_level
from ddlab.report.figures.base import Recipe
from ddlab.report.isotonic import FINAL_KINDS, crossing_of, fit, level_rows, rises
from ddlab.report.options import option
from ddlab.report.sample import make_sample
from ddlab.report.selection import selected
from ddlab.store.results import Results

N = "num_train"
EPSILON = 0.1

# What is known of a crossing beyond the numbers of examples that were run -> its marker.
BEYOND: dict[str, tuple[Marker, str]] = {
    ">": ("triangle", "at least the largest n"),
    "<": ("triangle down", "below the least n"),
}


@dataclass(frozen=True)
class EffectiveModelComplexity(Recipe):
    """The effective model complexity (EMC) against `x`, on log scales; below, the metric against n for some of its values.

    EMC is the largest number of examples n at which the mean train error is at most 0.1 (Nakkiran et al. 2020, definition 1), or
    another level holds, by an isotonic fit of the mean over seeds in log n; bars are its intervals over seeds. Where the level
    holds at every n that was run, or at none, it is known to lie beyond only: a hollow triangle.
    """

    x: str = option("a column of the trials: model.width, num_params", "model.width")
    group: str | None = option("a column that tells lines apart", None)
    metric: str = option("column of the curves, at the last step of each trial", "train_error")
    at_most: float | None = option("its level; 0.1 where none is given", None)
    at_least: float | None = option("its level", None)
    falls_to: float | None = option("its level: a share of the value at the first eval point", None, above=0)
    curves: int = option("values of x whose metric is shown against n, where there is no group", 4, low=1, high=20)

    def check(self, name: str) -> None:
        super().check(name)
        try:
            assert self.level
        except ConfigError as error:
            raise ConfigError(f"figures.{name}: {error}") from error

    @property
    def level(self) -> Level:
        """What holds at the examples that are learnt."""
        given = {kind: getattr(self, kind) for kind in FINAL_KINDS}
        return make_level(self.metric, **given) or Level(self.metric, "at_most", EPSILON)

    def frame(self, results: Results) -> pd.DataFrame:
        """Return a row for each group, x and number of examples n.

        Columns: those of the group and of x; num_train; of the metric there the mean, the lowest and the highest of its seeds,
        their number, and the isotonic `fit`; of all n together the `emc`, nan where it lies `beyond` (">" or "<") them, its
        `bound`, which is itself or the n that it lies beyond, its interval from `emc_low` to `emc_high`, and that in words; P as
        num_params, and P/K as params_per_output.
        """
        trials = selected(results, self.where, finished=True)
        require(trials, self.x, "x")
        for key in self._keys[1:]:
            require(trials, key, "group", numeric=False)
        settings = trials[self._keys].drop_duplicates().sort_values(self._keys).to_dict("records")
        frame = pd.concat([self._setting(results, setting) for setting in settings], ignore_index=True)
        if frame.groupby(self._keys, dropna=False)[N].size().max() < 2:
            raise ConfigError(
                "an effective model complexity needs trials with several numbers of examples, such as data.num_train"
            )
        return frame

    @property
    def _keys(self) -> list[str]:
        return [self.x, *([self.group] if self.group else [])]

    def _setting(self, results: Results, setting: Mapping[str, Any]) -> pd.DataFrame:
        """Return the rows of one group and x."""
        rows, level = level_rows(results, {**self.where, **setting}, self.level, [N])
        rows = rows.dropna(subset=self.metric)
        if rows.empty:
            raise ConfigError(f"metric={self.metric}: was not measured (all nan)")
        found = crossing_of(make_sample(rows, self.metric, N, results.seeds), level, up_to=True)
        at_n = rows.groupby(N)[self.metric]
        curve = pd.DataFrame({"mean": at_n.mean(), "low": at_n.min(), "high": at_n.max(), "seeds": at_n.size()}).reset_index()
        about = {"emc": found.at, "beyond": found.beyond, "bound": found.bound}
        about |= {"emc_low": found.interval.low, "emc_high": found.interval.high, "emc_interval": str(found.interval)}
        sizes = {"num_params": rows["num_params"].mean(), "params_per_output": (rows["num_params"] / rows["num_outputs"]).mean()}
        return curve.assign(fit=fit(curve["mean"].to_numpy(), rises(level, up_to=True)), **about, **sizes, **setting)

    def chart(self, frame: pd.DataFrame) -> Chart:
        known = frame.drop_duplicates(self._keys)
        low, high = float(frame[N].min()) / FACTOR, float(frame[N].max()) * FACTOR
        sizes = [line for line in self._sizes(known) if any(y is not None and low <= y <= high for y in line.y)]
        of_level = self._level_line(frame)
        names = self._names(known) if self._is_labelled(known) else []
        top = Panel(Axis("EMC (examples)", scale="log", low=low, high=high), [*sizes, *self._complexities(known), *names])
        is_error = self.metric.endswith("_error") and self.falls_to is None
        metric = Axis(label(self.metric), low=0.0 if (frame["low"] >= 0).all() else None, percent=is_error)
        n = Axis("training examples n", N, "log", low, high)
        x = Axis(label(self.x), self.x, "log" if (known[self.x] > 0).all() else "linear")
        panels = [top, Panel(metric, [of_level, *self._curves(frame)], n)]
        legend = [*self._legend(known), *sizes, of_level]
        return Chart([x], panels, legend, self.title, label(self.group or self.x), (3.5, 4.6))

    def _legend(self, known: pd.DataFrame) -> Iterator[Line | Dots]:
        if self.group and not self._is_labelled(known):
            yield from (Line({}, (), series, marker="circle") for series in self._lines(known))
        for end, (marker, name) in BEYOND.items():
            if (known["beyond"] == end).any():
                yield Dots({}, (), Series(name, GREY), marker, hollow=True)

    def _is_labelled(self, known: pd.DataFrame) -> bool:
        """Whether the curves below are named at their ends, rather than in the legend: names of what is ordered are short."""
        return is_ordered(list(known[self.group or self.x]))

    def _middle(self, frame: pd.DataFrame) -> float:
        """Return the x at which the metric is shown where there are groups."""
        x = sorted(frame[self.x].unique())
        return float(x[len(x) // 2])

    def _lines(self, known: pd.DataFrame) -> list[Series]:
        """Return the series of each line of the complexity; one without a name where there is one."""
        if not self.group:
            return [Series("", TRAIN)]
        groups = list(known[self.group].drop_duplicates().sort_values(na_position="first"))
        return group_series(groups, [text(value) for value in groups])

    def _rows(self, frame: pd.DataFrame, series: Series) -> pd.DataFrame:
        return frame[frame[self.group].map(text) == series.label] if self.group else frame

    def _sizes(self, known: pd.DataFrame) -> Iterator[Line]:
        """Yield what the complexity is held against: P, and the numbers that P parameters can fit, P/K; where x decides them."""
        if known.groupby(self.x)["num_params"].nunique().max() > 1:
            return
        rows = known.drop_duplicates(self.x)
        at = positions(rows, [self.x])
        yield Line(at, values(rows["num_params"]), Series("n = P", GREY), "dashed", width=1.0)
        if (rows["params_per_output"] < rows["num_params"]).any():
            yield Line(at, values(rows["params_per_output"]), Series("n = P / K", GREY), "dotted", width=1.0)

    def _complexities(self, known: pd.DataFrame) -> Iterator[Mark]:
        for series in self._lines(known):
            rows = self._rows(known, series)
            at = positions(rows, [self.x])
            yield Bars(at, values(rows["emc_low"]), values(rows["emc_high"]), series)
            yield Line(at, values(rows["emc"]), series, marker="circle")
            for end, there in rows[rows["beyond"] != ""].groupby("beyond"):
                marker, _ = BEYOND[str(end)]
                yield Dots(positions(there, [self.x]), values(there["bound"]), series, marker, hollow=True)

    def _names(self, known: pd.DataFrame) -> Iterator[Note]:
        """Yield the name of each line at its end; of a lone line none."""
        for series in self._lines(known) if self.group else ():
            last = self._rows(known, series).iloc[-1]
            yield Note({self.x: float(last[self.x])}, float(last["bound"]), series.label, series)

    def _curves(self, frame: pd.DataFrame) -> Iterator[Mark]:
        """Yield the metric against n: of each group at the middle x, or else of a few x."""
        for series, rows in self._shown(frame):
            at = positions(rows, [N])
            yield Bars(at, values(rows["low"]), values(rows["high"]), series)
            yield Dots(at, values(rows["mean"]), series)
            yield Line(at, values(rows["fit"]), series)
            if self._is_labelled(frame) and len(rows):
                last = rows.iloc[-1]
                yield Note({N: float(last[N])}, float(last["fit"]), series.label, series)

    def _shown(self, frame: pd.DataFrame) -> list[tuple[Series, pd.DataFrame]]:
        if self.group:
            middle = frame[frame[self.x] == self._middle(frame)]
            return [(series, self._rows(middle, series)) for series in self._lines(frame)]
        x = sorted(frame[self.x].unique())
        few = [x[k] for k in sorted(set(np.linspace(0, len(x) - 1, min(self.curves, len(x))).round().astype(int)))]
        names = group_series(few, [text(value) for value in few])
        return [(series, frame[frame[self.x] == value]) for series, value in zip(names, few, strict=True)]

    def _level_line(self, frame: pd.DataFrame) -> Line:
        ends = (float(frame[N].min()), float(frame[N].max()))
        level = self.level
        name = str(level) if self.falls_to else f"{label(level.metric)} {level.value:g}"
        return Line({N: ends}, (level.value, level.value), Series(name, GREY), width=0.8)

    def caption(self, frame: pd.DataFrame) -> str:
        known = frame.drop_duplicates(self._keys)
        found = known[known["emc"].notna()]
        ratio = found["emc"] / found["num_params"]
        ends = list(dict.fromkeys(f"{end:.2g}" for end in (ratio.min(), ratio.max())))
        of_params = f" It is {' to '.join(ends)} times the number of parameters." if len(found) else ""
        beyond = [f"{name} in {number}" for end, (_, name) in BEYOND.items() if (number := (known["beyond"] == end).sum())]
        censored = f" It is {' and '.join(beyond)} of {len(known)} settings." if beyond else ""
        below = f", at {label(self.x)} {text(self._middle(frame))}" if self.group else ""
        bars = "; bars: its interval over seeds" if found["emc_low"].notna().any() else ""
        return (
            f"Effective model complexity (EMC) against {label(self.x)}{self.selection}: the largest number of examples n at which"
            f" {self.level}, by an isotonic fit of the mean over seeds in log n{bars}.{of_params}{censored}"
            f" Below{below}: means, ranges over seeds, and the fits."
        )
