"""A spectrum along the steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ddlab.errors import ConfigError
from ddlab.report.charts import Axis, Chart, HeatMap, Panel, values
from ddlab.report.columns import label, quantity, require
from ddlab.report.figures.base import Recipe
from ddlab.report.options import option
from ddlab.report.selection import require_seeds_only, selected
from ddlab.store.results import Results

# Frequencies that have this much at the end are named in the caption.
NAMED = 0.02


@dataclass(frozen=True)
class Spectrum(Recipe):
    """A metric that is a number for each frequency, colour, against steps (log scale) and frequency; of the first trial there is.

    Frequencies differ from seed to seed, so that a mean over seeds would show none.
    """

    metric: str = option("a column of the curves that holds vectors", "sum_shares")

    def frame(self, results: Results) -> pd.DataFrame:
        """Return the metric at each step and frequency of the first selected trial in the order of the seeds."""
        trials = selected(results, self.where)
        require_seeds_only(trials, [], results.seeds)
        require(results.curves, self.metric, "metric", numeric=False)
        seeds = [column for column in results.seeds if column in trials]
        first = trials.sort_values(seeds, kind="stable").iloc[0]
        curves = results.curves[results.curves["step"] > 0].sort_values("step")
        curve = curves[curves["trial_id"] == first["trial_id"]]
        measured = curve.loc[curve[self.metric].map(lambda vector: not np.all(pd.isna(vector)))]
        if measured.empty:
            raise ConfigError(f"metric={self.metric}: was not measured (all nan)")
        if measured[self.metric].map(np.size).min() < 2:
            raise ConfigError(f"metric={self.metric}: must be a vector, a number for each frequency")
        vectors = [np.ravel(np.asarray(vector, float)) for vector in measured[self.metric]]
        table = pd.DataFrame(np.stack(vectors), index=measured["step"])
        table.columns = pd.RangeIndex(1, table.shape[1] + 1)
        frame = table.reset_index().melt("step", var_name="frequency", value_name=self.metric)
        return frame.sort_values(["step", "frequency"], ignore_index=True).assign(
            quantity=quantity(self.metric, results, trials), seed=first["seed"]
        )

    def chart(self, frame: pd.DataFrame) -> Chart:
        cells = frame.pivot_table(index="frequency", columns="step", values=self.metric)
        rows = tuple(values(row) for row in cells.to_numpy())
        color = Axis(str(frame["quantity"].iloc[0]), low=0.0, high=float(frame[self.metric].max()), percent=True)
        heat = HeatMap({"step": values(cells.columns)}, values(cells.index), rows, color)
        y = Axis("frequency k", low=0.5, high=float(cells.index.max()) + 0.5)
        return Chart([Axis(label("step"), "step", "log")], [Panel(y, [heat])], title=self.title, size=(3.5, 2.8))

    def caption(self, frame: pd.DataFrame) -> str:
        last = frame[frame["step"] == frame["step"].max()].set_index("frequency")[self.metric]
        main = last[last >= NAMED].sort_values(ascending=False)
        named = ", ".join(f"{k} ({100 * share:.0f} %)" for k, share in main.items()) or f"none has {100 * NAMED:g} %"
        return f"{label(self.metric)} of each frequency, seed {int(frame['seed'].iloc[0])}{self.selection}. At the end: {named}."
