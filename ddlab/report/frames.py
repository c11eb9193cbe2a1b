"""Tidy frames from stored results: what every figure is drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ddlab.errors import ConfigError
from ddlab.report.columns import require
from ddlab.report.selection import require_seeds_only, selected
from ddlab.store.results import STOPPED, Results

ALONG_CURVES = ("step", "time")


def require_measured(final: pd.DataFrame, metric: str) -> None:
    """Raise `ConfigError` where a trial has no final value of a metric, as it stopped early at an eval point without one.

    Args:
        final: rows of trials at their last steps.
        metric: its column; nan: not measured.
    """
    if missing := int((final[metric].isna() & (final["status"] == STOPPED)).sum()):
        raise ConfigError(
            f"metric={metric}: was not measured where {missing:,} trials stopped early; with its measure's every=1 it would be"
        )


def metric_table(results: Results, trials: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return a metric with a row for each eval step at which it was measured, and a column for each trial.

    A trial that stopped early keeps its last value; one that is not finished, or whose last part is damaged, has none (nan) after
    its last step.

    Raises:
        ConfigError: there is no such metric, or a trial stopped early where it was not measured.
    """
    require(results.curves, metric, "metric")
    curves = results.curves[results.curves["trial_id"].isin(set(trials["trial_id"]))]
    table = curves.pivot_table(index="step", columns="trial_id", values=metric, dropna=False).sort_index()
    final = _final_rows(results, trials)
    require_measured(final, metric)
    for row in final[final["status"] == STOPPED].to_dict("records"):
        table.loc[table.index > row["last_step"], row["trial_id"]] = row[metric]
    return table.dropna(how="all")


def _final_rows(results: Results, trials: pd.DataFrame) -> pd.DataFrame:
    """Return one row per trial, its columns and the metrics of its last step; those whose last step is not stored have none."""
    return trials.merge(results.curves, left_on=["trial_id", "last_step"], right_on=["trial_id", "step"])


def final_metrics(results: Results, where: Mapping[str, Any], by: Sequence[str]) -> pd.DataFrame:
    """Return one row per finished trial, its columns and the metrics of its last step, to be averaged over seeds at each `by`.

    The first of `by` is an axis: numbers.

    With "step" or "time" (learning rate x step) among `by`: a row for each eval point; a trial that stopped early keeps its last
    values for as long as others of the same eval points go on. A trial whose last part is damaged is left out: an earlier eval
    point is not a final one.
    """
    trials = selected(results, where, finished=True)
    of_trials = [column for column in by if column not in ALONG_CURVES]
    for column in of_trials:
        require(trials, column, "x" if column == by[0] else "group or best_over", numeric=column == by[0])
    require_seeds_only(trials, of_trials, results.seeds)
    final = _final_rows(results, trials)
    if final.empty:
        raise ConfigError("the last eval point of every trial is missing or damaged")
    if set(by) & set(ALONG_CURVES):
        whole = trials[trials["trial_id"].isin(final["trial_id"])]
        rows = _carried_on(whole.merge(results.curves, on="trial_id"), final)
        if "time" in by:
            require(rows, "optimizer.learning_rate", "time: learning rate")
            rows["time"] = rows["optimizer.learning_rate"] * rows["step"]
        return rows
    return final


def _carried_on(rows: pd.DataFrame, final: pd.DataFrame) -> pd.DataFrame:
    """Return rows of trials at their eval points, with the last one of those that stopped early repeated at the later ones."""
    stopped = final[final["status"] == STOPPED].drop(columns="step")
    grid = [column for column in ("train.steps", "train.num_evals", "train.eval_spacing") if column in rows]
    steps = rows[[*grid, "step"]].drop_duplicates()
    later = stopped.merge(steps, on=grid) if grid else stopped.merge(steps, how="cross")
    return pd.concat([rows, later[later["step"] > later["last_step"]]], ignore_index=True)


def curves_over_seeds(results: Results, trials: pd.DataFrame, group: str | None, metrics: Sequence[str]) -> pd.DataFrame:
    """Return median, lowest and highest value over trials of each metric at each eval step, for each value of `group`.

    Columns: group, step, metric, median, low, high, trials.

    Raises:
        ConfigError: as of `metric_table`, or a metric was never measured, or at step 0 alone.
    """
    rows = []
    groups = [(np.nan, trials)] if group is None else list(trials.groupby(group, dropna=False))
    for value, members in groups:
        for metric in metrics:
            table = metric_table(results, members, metric)
            if table.empty:
                raise ConfigError(f"metric={metric}: was not measured (all nan)")
            statistics = {"median": table.median(axis=1), "low": table.min(axis=1), "high": table.max(axis=1)}
            rows.append(pd.DataFrame(statistics).reset_index().assign(group=value, metric=metric, trials=table.shape[1]))
    found = pd.concat(rows, ignore_index=True)[["group", "step", "metric", "median", "low", "high", "trials"]]
    if not found["step"].any():
        raise ConfigError("train.steps=0: the trials are measured at step 0 alone; select some that are trained")
    return found
