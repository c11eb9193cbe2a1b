"""Steps to memorise and to generalise against a hyper-parameter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from ddlab.errors import ConfigError
from ddlab.report.charts import Axis, Band, Bars, Chart, Dots, Line, Mark, Panel, Series, positions, values
from ddlab.report.charts.chart import Marker
from ddlab.report.charts.colors import GREY, TEST, TRAIN
from ddlab.report.charts.limits import limits
from ddlab.report.columns import label, require, text
from ddlab.report.crossings import Level, accuracy, crossings
from ddlab.report.figures.base import Recipe
from ddlab.report.intervals import interval_of
from ddlab.report.options import option
from ddlab.report.sample import CENSORED, Sample, make_sample
from ddlab.report.selection import require_seeds_only, selected
from ddlab.report.slopes import slopes
from ddlab.report.survival import quantile
from ddlab.store.results import Results

LEARNT: dict[str, tuple[Series, Marker]] = {
    "test": (Series("generalised", TEST), "circle"),
    "train": (Series("memorised", TRAIN), "square"),
}

# The median, and the quartiles between which the band lies.
SHARES = {"median": 0.5, "low": 0.25, "high": 0.75}

# Fewest points of a slope.
FEWEST = 3


@dataclass(frozen=True)
class StepsToGrok(Recipe):
    """Steps to memorise and to generalise against `x`, both on log scales: a dot for each seed, medians and quartiles.

    Where a step is 0, the scale of the steps is linear up to the least that is not.

    Where `x` is no number, such as an operation, its values stand in the order of the steps to generalise.

    Medians and quartiles are Kaplan and Meier's. A trial that never got there is a hollow triangle at its last step: it takes
    longer than that; where this is so of the median, the line has a gap.
    """

    x: str = option("a column of the trials", "data.train_fraction")
    accuracy: float = option("what counts as learnt", 0.99, above=0, high=1)
    loss: float | None = option("what counts as learnt instead: a loss of at most so much", None, above=0)

    def frame(self, results: Results) -> pd.DataFrame:
        """Return a row for each trial and split, "train" and "test".

        Columns: `x` and its `place` on the axis, the seeds, `split`; those of `crossings`; `step`, t_first or the last one, then
        `censored`; of all at one x, the `median`, `low` and `high` of the steps, nan where it is beyond them; `slope` of the
        medians, its interval.
        """
        trials = selected(results, self.where, finished=True)
        require(trials, self.x, "x", numeric=False)
        if trials[self.x].isna().any():
            raise ConfigError(f"x={self.x}: is null in some trials, which have no place on an axis; where: selects others")
        seeds = [column for column in results.seeds if column in trials]
        require_seeds_only(trials, [self.x], results.seeds)
        about = trials[["trial_id", *dict.fromkeys([self.x, *seeds])]]
        parts = []
        for split in LEARNT:
            level = self._level(split)
            found = about.merge(crossings(results, trials, level), on="trial_id")
            if found.empty:
                raise ConfigError(f"metric={level.metric}: was not measured (all nan)")
            parts.append(self._with_statistics(found.assign(split=split), seeds))
        frame = pd.concat(parts)
        if not frame["step"].any():
            word = f"accuracy={self.accuracy:g}" if self.loss is None else f"loss={self.loss:g}"
            raise ConfigError(f"{word}: all trials are there at step 0, which has no place on a log scale")
        frame["place"] = frame[self.x].map(self._places(frame))
        return frame.sort_values(["split", "place", *seeds], ignore_index=True)

    def _places(self, frame: pd.DataFrame) -> dict[Any, float]:
        """Return where each value of `x` stands: numbers as they are, others in the order of the steps to generalise."""
        if pd.api.types.is_numeric_dtype(frame[self.x]):
            return {value: float(value) for value in frame[self.x].unique()}
        steps = frame[frame["split"] == "test"].groupby(self.x)["step"].agg(["median", "mean"])
        return {value: float(place) for place, value in enumerate(steps.sort_values(["median", "mean"]).index, 1)}

    def _level(self, split: str) -> Level:
        return accuracy(split, self.accuracy) if self.loss is None else Level(f"{split}_loss", "at_most", self.loss)

    def _with_statistics(self, rows: pd.DataFrame, seeds: list[str]) -> pd.DataFrame:
        rows = rows.assign(step=rows["t_first"].fillna(rows["until_first"]), **{CENSORED: rows["t_first"].isna()})
        for name, share in SHARES.items():
            found = {x: quantile(at["step"].to_numpy(), at[CENSORED].to_numpy(), share)[0] for x, at in rows.groupby(self.x)}
            rows[name] = rows[self.x].map(found).replace(np.inf, np.nan)
        if not pd.api.types.is_numeric_dtype(rows[self.x]):
            return rows.assign(slope=np.nan, slope_interval="")
        sample = make_sample(rows, "step", self.x, seeds)
        numbers = partial(_slope, sample)
        measured = float(numbers(np.ones((1, sample.factors.shape[1])))[0])
        interval = interval_of(sample, numbers) if np.isfinite(measured) else ""
        return rows.assign(slope=measured, slope_interval=str(interval))

    def chart(self, frame: pd.DataFrame) -> Chart:
        marks: list[Mark] = []
        most = float(frame["step"].max())
        for split, (series, marker) in LEARNT.items():
            rows = frame[frame["split"] == split]
            medians = rows.drop_duplicates(self.x)
            at, capped = positions(medians, ["place"]), {name: values(medians[name].fillna(most)) for name in ("low", "high")}
            reached, beyond = rows[~rows[CENSORED]], rows[rows[CENSORED]]
            if self._is_numeric(frame):
                marks.append(Band(at, capped["low"], capped["high"], series))
                marks.append(Line(at, values(medians["median"]), series))
            else:
                marks.append(Bars(at, capped["low"], capped["high"], series))
                marks.append(Dots(at, values(medians["median"]), series, marker))
            marks.append(Dots(positions(reached, ["place"]), values(reached["step"]), series, marker, opacity=0.5))
            marks.append(Dots(positions(beyond, ["place"]), values(beyond["step"]), series, "triangle", hollow=True))
        height = 2.8 if self._is_numeric(frame) else 3.4  # names stand aslant
        panel = Panel(self._steps(frame), marks)
        return Chart([self._axis(frame)], [panel], list(self._legend(frame)), self.title, size=(3.5, height))

    @property
    def _what(self) -> str:
        return f"{100 * self.accuracy:g} % accuracy" if self.loss is None else f"a loss of {self.loss:g}"

    def _is_numeric(self, frame: pd.DataFrame) -> bool:
        return pd.api.types.is_numeric_dtype(frame[self.x])

    def _steps(self, frame: pd.DataFrame) -> Axis:
        """Return the vertical axis: logarithmic where there is no 0, beyond the least positive step where there is."""
        name, positive = f"steps to {self._what}", frame["step"][frame["step"] > 0]
        if len(positive) < len(frame):
            return Axis(name, scale="symlog", linear_below=float(positive.min()))
        low, high = limits("log", positive, ())
        return Axis(name, scale="log", low=low, high=high)

    def _axis(self, frame: pd.DataFrame) -> Axis:
        """Return the horizontal axis: logarithmic where there is no 0, beyond the least positive value where there is."""
        at = sorted(float(place) for place in frame["place"].unique())
        if not self._is_numeric(frame):
            names = frame.drop_duplicates("place").sort_values("place")[self.x].map(text)
            return Axis(label(self.x), "place", low=0.5, high=at[-1] + 0.5, ticks=tuple(at), names=tuple(names))
        positive = [value for value in at if value > 0]
        if not positive or at[0] < 0:
            return Axis(label(self.x), "place", ticks=tuple(at))
        scale = "log" if positive == at else "symlog"
        return Axis(label(self.x), "place", scale, ticks=tuple(at), linear_below=positive[0])

    def _legend(self, frame: pd.DataFrame) -> Iterator[Line | Dots]:
        yield from (Line({}, (), series, marker=marker) for series, marker in LEARNT.values())
        if frame[CENSORED].any():
            yield Dots({}, (), Series("not within the steps trained", GREY), "triangle", hollow=True)

    def caption(self, frame: pd.DataFrame) -> str:
        medians = {split: frame[frame["split"] == split].drop_duplicates(self.x).set_index(self.x) for split in LEARNT}
        train = medians["train"]["median"]
        ratio = medians["test"]["median"] / train.where(train > 0)
        ratio = ratio.dropna()
        delay = f" The largest delay is {ratio.max():.0f}-fold, at {text(ratio.idxmax())}." if len(ratio) else ""
        beyond = medians["test"].index[medians["test"]["median"].isna()]
        where = f" Most did not generalise within the steps trained at {', '.join(map(text, beyond))}." if len(beyond) else ""
        slope, interval = medians["test"].iloc[0][["slope", "slope_interval"]]
        fit = (
            f" Slope of the steps to generalise: {slope:.2f}{f', {interval}' if interval else ''}." if np.isfinite(slope) else ""
        )
        return (
            f"Steps to {self._what} on the training and on the test set against {label(self.x)}{self.selection}; dots: seeds,"
            f" lines and bands: medians and quartiles (Kaplan-Meier).{delay}{where}{fit}"
        )


def _slope(sample: Sample, weights: np.ndarray) -> np.ndarray:
    """Return the slope of the medians of B weightings of the seeds, [B]; nan where there is none, as a median is censored."""
    if len(sample.points) < FEWEST or (sample.points <= 0).any():
        return np.full(len(weights), np.nan)
    return slopes(sample.points, sample.medians(weights))[0]
