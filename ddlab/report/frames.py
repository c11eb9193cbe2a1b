"""Tidy frames from stored results: what every figure is drawn from."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ddlab.errors import ConfigError, StoreError, suggest
from ddlab.report.options import shown
from ddlab.store.results import DIVERGED, PENDING, STOPPED, Results

# Horizontal axes: column of the trials -> label. Any other numeric column of the trials may be named too.
LABELS = {
    "params_per_sample": "parameters per training example P/N",
    "params_per_sample_output": "parameters per training example and output P/(N K)",
    "num_params": "parameters P",
    "num_train": "training examples N",
    "data.num_train": "training examples N",
    "model.width": "width",
    "step": "optimizer steps",
    "time": "time (learning rate x steps)",
    "data.train_fraction": "fraction of the data trained on",
    "optimizer.weight_decay": "weight decay",
    "data.label_noise": "label noise",
    "train_error": "train error",
    "test_error": "test error",
    "train_loss": "train loss",
    "test_loss": "test loss",
    "weight_norm": "weight norm",
    "gradient_norm": "gradient norm",
    "excess_risk": "excess risk",
    "data.signal": "signal",
    "data.noise_variance": "noise variance",
    "condition_number": "condition number",
    "smallest_singular_value": "smallest singular value",
    "degrees_of_freedom": "degrees of freedom",
    "ensemble_risk": "risk of the ensemble",
    "variance_over_features": "variance over features",
}


class NoSuchColumn(ConfigError):
    """A column that the trials or curves do not have."""


class NotPlanned(ConfigError):
    """Trials that a results directory never planned."""


ALONG_CURVES = ("step", "time")
# What follows from the config of a trial rather than being chosen.
DERIVED = ("num_params", "num_train", "num_outputs", "params_per_sample", "params_per_sample_output")


def label(name: str) -> str:
    """Return the axis label of a column."""
    return LABELS.get(name, name)


def text(value: Any) -> str:
    """Return a value of a column as text."""
    if value is None or value != value:
        return "null"
    return f"{value:g}" if isinstance(value, int | float | np.number) else str(value).replace("_", " ")


def loss_name(trials: pd.DataFrame) -> str:
    """Return the axis label of the trials' training loss, with its unit."""
    names = {"cross_entropy": "cross-entropy (nats)", "mse": "mean squared error"}
    kinds = list(trials["train.loss"].unique())
    return names.get(kinds[0], "loss") if len(kinds) == 1 else "loss"


def require_values(trials: pd.DataFrame) -> None:
    """Raise `StoreError` where a column of stored trials holds lists or mappings, which cannot be compared."""
    for column in trials:
        if pd.api.types.is_numeric_dtype(trials[column]):
            continue
        try:
            set(trials[column])
        except TypeError:
            first = next(value for value in trials[column] if not isinstance(value, Hashable) or isinstance(value, tuple))
            raise StoreError(f"the stored trials are damaged: {column}={shown(first)}: must be one value") from None


def selected(results: Results, where: Mapping[str, Any], finished: bool = False) -> pd.DataFrame:
    """Return the trials that have begun (or finished), did not diverge, and whose columns have the wanted values.

    Raises:
        NotPlanned: no trial of the plan has these values.
        ConfigError: a column that does not exist, or nothing is left to draw.
    """
    planned = with_ratios(results.trials)
    trials = matching(planned, where)
    if trials.empty:
        raise NotPlanned(f"no trial is planned with {_absent(planned, where)}")
    begun = trials["trial_id"].isin(set(results.curves["trial_id"]))
    trials = trials[begun & (trials["status"] != DIVERGED)]
    if finished:
        trials = trials[trials["status"] != PENDING]
    if trials.empty:
        chosen = " with " + ", ".join(f"{key}={value}" for key, value in where.items()) if where else ""
        raise ConfigError(f"no stored trial{chosen} {'has finished without diverging' if finished else 'can be drawn'}")
    return trials


def with_ratios(trials: pd.DataFrame) -> pd.DataFrame:
    """Return trials with the column params_per_sample_output, P/(N K)."""
    return trials.assign(params_per_sample_output=trials["params_per_sample"] / trials["num_outputs"])


def matching(trials: pd.DataFrame, where: Mapping[str, Any]) -> pd.DataFrame:
    """Return the trials whose columns have the wanted values; null matches what has none.

    Raises:
        ConfigError: a column that does not exist.
    """
    for key, value in where.items():
        if key not in trials:
            raise NoSuchColumn(f"where.{key}={value}: no such column. {suggest(key, map(str, trials.columns))}".rstrip())
        if isinstance(value, str) and pd.api.types.is_numeric_dtype(trials[key]) and trials[key].notna().any():
            raise ConfigError(f"where.{key}={value}: the column holds numbers")
        trials = trials[trials[key].isna() if value is None else trials[key] == value]
    return trials


def _absent(trials: pd.DataFrame, where: Mapping[str, Any]) -> str:
    """Return a selection that no trial matches in words, with the values that the trials have of the first column at fault."""
    for key, value in where.items():
        if matching(trials, {key: value}).empty:
            known = trials[key].dropna()
            values = sorted((known if pd.api.types.is_numeric_dtype(known) else known.map(str)).unique())
            few = ", ".join(map(str, values[:6])) + (", ..." if len(values) > 6 else "")
            return f"{key}={value}" + (f" (they have {few})" if few else "")
    return ", ".join(f"{key}={value}" for key, value in where.items())


def check_selection(option: str, selection: Any) -> None:
    """Raise `ConfigError` for a selection of trials, column -> value, that is none."""
    if not isinstance(selection, Mapping):
        raise ConfigError(f"{option}={shown(selection)}: must be a mapping, column: value")
    for key, value in selection.items():
        if not isinstance(key, str):
            raise ConfigError(f"{option}.{shown(key)}: must be the name of a column")
        if not isinstance(value, str | int | float | None) or (isinstance(value, int) and abs(value) > sys.float_info.max):
            raise ConfigError(f"{option}.{key}={shown(value)}: must be one value of the column {key}")


def require(frame: pd.DataFrame, column: str, option: str, numeric: bool = True) -> None:
    """Raise `ConfigError` where a column that an option names does not exist (`NoSuchColumn`), or holds no numbers."""
    if column not in frame:
        raise NoSuchColumn(f"{option}={column}: no such column. {suggest(column, map(str, frame.columns))}".rstrip())
    if numeric and not pd.api.types.is_numeric_dtype(frame[column]):
        raise ConfigError(f"{option}={column}: must be a column of numbers")


def require_seeds_only(trials: pd.DataFrame, by: Sequence[str], seeds: Sequence[str]) -> None:
    """Raise `ConfigError` where trials that a figure would average differ in more than their seeds.

    Args:
        trials: the trials of a figure.
        by: the columns that the figure tells apart; what they determine (the P of a width) may differ too.
        seeds: the columns of seeds.
    """
    about = {"trial_id", "weights_id", "status", "seconds", "last_step", "num_rows", "data_checksum", *seeds, *by}
    groups = trials.groupby(list(by), dropna=False) if by else trials.assign(all=0).groupby("all")
    mixed = [column for column in trials if column not in about and groups[column].nunique(dropna=False).max() > 1]
    leaves = [column for column in mixed if column not in DERIVED]
    if leaves:
        values = ", ".join(str(value) for value in sorted(trials[leaves[0]].unique(), key=str)[:4])
        raise ConfigError(
            f"trials that differ in {', '.join(leaves[:2])}{' and more' if len(leaves) > 2 else ''} would be averaged as if they"
            f" were seeds; select some: where.{leaves[0]}=VALUE ({values})"
        )


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


def over_seeds(frame: pd.DataFrame, by: str, metrics: Sequence[str]) -> pd.DataFrame:
    """Return, for each value of `by`, mean, standard deviation, median and number of trials of each metric, in long form.

    Columns: `by`, metric, mean, sd (0 for a single trial), median, trials.
    """
    for metric in metrics:
        require(frame, metric, "metric")
    rows = []
    for value, group in frame.groupby(by):
        for metric in metrics:
            values = group[metric].to_numpy(float)
            sd = values.std(ddof=1) if len(values) > 1 else 0.0
            rows.append((value, metric, values.mean(), sd, np.median(values), len(values)))
    return pd.DataFrame(rows, columns=[by, "metric", "mean", "sd", "median", "trials"])


def curves_over_seeds(results: Results, trials: pd.DataFrame, group: str | None, metrics: Sequence[str]) -> pd.DataFrame:
    """Return median, lowest and highest value over trials of each metric at each eval step, for each value of `group`.

    Columns: group, step, metric, median, low, high, trials.
    """
    rows = []
    groups = [(np.nan, trials)] if group is None else list(trials.groupby(group))
    for value, members in groups:
        for metric in metrics:
            table = metric_table(results, members, metric)
            statistics = {"median": table.median(axis=1), "low": table.min(axis=1), "high": table.max(axis=1)}
            rows.append(pd.DataFrame(statistics).reset_index().assign(group=value, metric=metric, trials=table.shape[1]))
    return pd.concat(rows, ignore_index=True)[["group", "step", "metric", "median", "low", "high", "trials"]]


def first_step(curve: pd.DataFrame, metric: str, at_most: float) -> float:
    """Return the first eval step at which a metric is at most a value; nan where it never is."""
    steps = curve.loc[curve[metric] <= at_most, "step"]
    return float(steps.min()) if len(steps) else float("nan")


def sustained_step(curve: pd.DataFrame, metric: str, at_most: float) -> float:
    """Return the first eval step from which on a metric is at most a value wherever it is measured later; nan where none."""
    curve = curve.dropna(subset=metric)
    above = curve.loc[curve[metric] > at_most, "step"]
    after = curve.loc[curve["step"] > (above.max() if len(above) else -1), "step"]
    return float(after.min()) if len(after) else float("nan")


def learning_steps(results: Results, trials: pd.DataFrame, accuracy: float) -> pd.DataFrame:
    """Return for each trial the steps at which it memorised and generalised.

    memorised: first eval step with train accuracy at least `accuracy`; generalised: the eval step from which on test
    accuracy stays at least `accuracy`. Columns: trial_id, memorised, generalised (nan: never).
    """
    rows = []
    for trial_id, curve in results.curves[results.curves["trial_id"].isin(set(trials["trial_id"]))].groupby("trial_id"):
        limit = 1 - accuracy + 1e-9
        rows.append((trial_id, first_step(curve, "train_error", limit), sustained_step(curve, "test_error", limit)))
    return pd.DataFrame(rows, columns=["trial_id", "memorised", "generalised"])
