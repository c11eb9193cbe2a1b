"""The rows of a metric: what curves and claims are computed from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ddlab.errors import ConfigError
from ddlab.report.columns import require
from ddlab.report.ensembles import ENSEMBLE_METRICS, ensemble_rows
from ddlab.report.frames import ALONG_CURVES, final_metrics, require_measured
from ddlab.store.results import Results


def metric_rows(
    results: Results, where: Mapping[str, Any], metric: str, by: Sequence[str] = (), best_over: str | None = None
) -> pd.DataFrame:
    """Return the rows of `point_rows`, with a metric in them as in `rows_of_metric`."""
    return rows_of_metric(point_rows(results, where, by, best_over), metric, by, best_over, results.seeds)


def point_rows(results: Results, where: Mapping[str, Any], by: Sequence[str], best_over: str | None) -> pd.DataFrame:
    """Return the rows of `final_metrics` at each `by` and `best_over`, a column of the trials or None."""
    if best_over in (*results.seeds, *by):
        raise ConfigError(f"best_over={best_over}: must be another column than {', '.join((*results.seeds, *by))}")
    return final_metrics(results, where, [*by, *([best_over] if best_over else [])])


def rows_of_metric(
    rows: pd.DataFrame, metric: str, by: Sequence[str], best_over: str | None, seeds: Sequence[str]
) -> pd.DataFrame:
    """Return the rows that have a metric.

    Args:
        rows: of `point_rows`.
        metric: a column of the curves, or one of `ensembles.ENSEMBLE_METRICS`: then a row is an ensemble.
        by: x of the curves, if any, and the columns that tell curves apart.
        best_over: a column of the trials; at each point of `by` only its value of least mean metric is kept.
        seeds: columns of the seeds.

    Raises:
        ConfigError: there is no such metric, or a trial stopped early where it was not measured.
    """
    if metric in ENSEMBLE_METRICS:
        if best_over:
            raise ConfigError(f"best_over={best_over}: is for metrics of trials, not for {metric}")
        return ensemble_rows(rows, metric, by, seeds)
    require(rows, metric, "metric")
    require_measured(rows[rows["step"] >= rows["last_step"]], metric)
    if by and by[0] in ALONG_CURVES:
        rows = rows[(rows[by[0]] > 0) & rows[metric].notna()]
    if best_over:
        means = rows.groupby([*by, best_over], dropna=False)[metric].mean().rename("mean").reset_index()
        best = means.sort_values("mean", kind="stable").drop_duplicates(list(by))
        rows = rows.merge(best[[*by, best_over]], on=[*by, best_over])
    return rows
