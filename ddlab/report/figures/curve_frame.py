"""The frame of a curve: a metric's statistics over seeds, and what a theory says of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from ddlab.errors import ConfigError
from ddlab.report.columns import quantity, text
from ddlab.report.ensembles import EXAMPLES
from ddlab.report.figures.curve_parts import CurvePart
from ddlab.report.frames import ALONG_CURVES
from ddlab.report.intervals import FEWEST_SEEDS
from ddlab.report.metric_rows import point_rows, rows_of_metric
from ddlab.report.selection import with_ratios
from ddlab.report.stopping import stopped_by
from ddlab.report.theories import predicted, predicted_at
from ddlab.store.results import Results

# What a size may be read as; and a time.
SIZES = ("params_per_sample", "num_params", "model.width", "params_per_sample_output", "num_train")

# Of a theory's line.
POINTS = 400

BAND = (0.1, 0.9)


@dataclass(frozen=True)
class CurveRows:
    """The trials of a curve, or of a curve for each value of `group`.

    Attributes:
        results: stored metrics.
        curve: which trials, and the name of the curve.
        x: a column of the trials, or one of `ALONG_CURVES`.
        x_scale: "linear" or "log".
        group: a column of the trials; None: there is one curve.
        middle: "mean" or "median" over seeds: what is drawn.
    """

    results: Results
    curve: CurvePart
    x: str
    x_scale: str
    group: str | None
    middle: str

    def frame(self, metric: str) -> pd.DataFrame:
        """Return the curves of a metric: rows of kind "simulation", and of kind "theory" where there is one.

        Columns: x and what else it may be read as; metric, quantity (what it is, with its unit), curve (a name), group (where
        there is one: its value), kind; middle (what is drawn), mean, sem, sd (0: one seed), median, low and high (ends of the
        band), seeds, theory; of ensembles examples: at how many of the test set.
        """
        rows = rows_of_metric(self._rows, metric, self._by, self.curve.best_over, self.results.seeds)
        if rows.empty:
            raise ConfigError(f"metric={metric}: was not measured (all nan)")
        if not set(self._axes) <= set(rows):  # rows of ensembles
            rows = rows.merge(self._settings[[*self._by, *self._axes[1:]]], on=self._by)
        if self.curve.theory is not None:
            rows = rows.assign(theory=predicted_at(self.curve.theory, metric, rows, self._by))
        parts = []
        for name, members in self._named(rows):
            part = pd.concat([self._simulation(members, metric), self._theory(members, metric)], ignore_index=True)
            parts.append(part.assign(metric=metric, quantity=quantity(metric, self.results, self._rows), **name))
        frame = pd.concat(parts, ignore_index=True)
        first = [*self._axes, "metric", "quantity", "curve", *(["group"] if self.group else []), "kind"]
        return frame[[*first, *(column for column in frame if column not in first)]]

    def _named(self, rows: pd.DataFrame) -> list[tuple[dict[str, Any], pd.DataFrame]]:
        """Return the rows of each curve with its name and value; numbers in order, others as they come."""
        if self.group is None:
            return [({"curve": self.curve.label}, rows)]
        is_numeric = pd.api.types.is_numeric_dtype(rows[self.group])
        groups = rows.groupby(self.group, dropna=False, sort=is_numeric)
        return [({"curve": text(value), "group": value}, members) for value, members in groups]

    @cached_property
    def _rows(self) -> pd.DataFrame:
        results = stopped_by(self.results, self.curve.where, self.curve.stop_by)
        return point_rows(results, self.curve.where, self._by, self.curve.best_over)

    @property
    def _by(self) -> list[str]:
        return [self.x] if self.group is None else [self.x, self.group]

    @cached_property
    def _settings(self) -> pd.DataFrame:
        """A row for each point of each curve."""
        return self._rows.drop_duplicates(self._by)

    @cached_property
    def _axes(self) -> list[str]:
        """`x`, and the columns that have a value of their own for each of its values, in each curve."""
        found = [self.x]
        for column in ALONG_CURVES if self.x in ALONG_CURVES else SIZES:
            if column in self._rows and not any(np.array_equal(self._rows[column], self._rows[other]) for other in found):
                at = self._rows.groupby(self._by, dropna=False)[column].nunique()
                if (at == 1).all() and not self._settings.duplicated([column, *self._by[1:]]).any():
                    found.append(column)
        return found

    def _simulation(self, rows: pd.DataFrame, metric: str) -> pd.DataFrame:
        at = rows.groupby(self.x)
        values = at[metric]
        few = values.count() < FEWEST_SEEDS
        low, high = values.quantile(BAND[0]).where(~few, values.min()), values.quantile(BAND[1]).where(~few, values.max())
        statistics = {"mean": values.mean(), "sem": values.sem(), "sd": values.std().fillna(0.0), "median": values.median()}
        columns = {"middle": statistics[self.middle], **statistics, "low": low, "high": high, "seeds": values.count()}
        if self.curve.theory is not None:
            columns["theory"] = at["theory"].mean()
        if EXAMPLES in rows:
            columns[EXAMPLES] = at[EXAMPLES].min()
        others = at[self._axes[1:]].first()
        return pd.concat([others, pd.DataFrame(columns)], axis=1).reset_index().assign(kind="simulation")

    def _theory(self, rows: pd.DataFrame, metric: str) -> pd.DataFrame:
        if self.curve.theory is None or rows[self.x].nunique() < 2:
            return pd.DataFrame()
        fine = self._between(rows.drop_duplicates(self.x).sort_values(self.x))
        others = with_ratios(fine.assign(params_per_sample=fine["num_params"] / fine["num_train"]))[self._axes[1:]]
        line = predicted(self.curve.theory, metric, fine)
        return others.assign(**{self.x: fine[self.x]}, middle=line, mean=line, kind="theory")

    def _between(self, settings: pd.DataFrame) -> pd.DataFrame:
        """Return the settings with many more between them, every numeric column a linear function of `x` between two settings."""
        x = settings[self.x].to_numpy(float)
        spread = np.geomspace(x[0], x[-1], POINTS) if self.x_scale == "log" and x[0] > 0 else np.linspace(x[0], x[-1], POINTS)
        fine = np.unique(np.concatenate([x, spread]))
        numeric = settings.select_dtypes("number")
        others = {column: [settings[column].iloc[0]] * len(fine) for column in settings if column not in numeric}
        return pd.DataFrame({**others, **{column: np.interp(fine, x, numeric[column].to_numpy(float)) for column in numeric}})
