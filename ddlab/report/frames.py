"""Tidy frames from stored results: what every figure is drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ddlab.errors import ConfigError, suggest
from ddlab.store import DIVERGED, PENDING, Results

# Horizontal axes: column of the trials -> label. Any other numeric column of the trials may be named too.
LABELS = {
    "params_per_sample": "parameters per training example  P/N",
    "params_per_sample_output": "parameters per training example and output  P/(N K)",
    "num_params": "parameters  P",
    "num_train": "training examples  N",
    "model.width": "width",
    "step": "optimizer steps",
    "data.train_fraction": "fraction of the data trained on",
    "optimizer.weight_decay": "weight decay",
    "data.label_noise": "label noise",
    "train_error": "train error",
    "test_error": "test error",
    "train_loss": "train loss",
    "test_loss": "test loss",
    "weight_norm": "weight norm",
    "gradient_norm": "gradient norm",
}


def label(name: str) -> str:
    """Return the axis label of a column."""
    return LABELS.get(name, name)


def loss_name(trials: pd.DataFrame) -> str:
    """Return the axis label of the trials' training loss, with its unit."""
    names = {"cross_entropy": "cross-entropy (nats)", "mse": "mean squared error"}
    kinds = list(trials["train.loss"].unique())
    return names.get(kinds[0], "loss") if len(kinds) == 1 else "loss"


def selected(results: Results, where: Mapping[str, Any], finished: bool = False) -> pd.DataFrame:
    """Return the trials that have begun (or finished), did not diverge, and whose columns have the wanted values.

    Raises:
        ConfigError: a column that does not exist, or nothing is left to draw.
    """
    trials = results.trials.assign(params_per_sample_output=results.trials["params_per_sample"] / results.trials["num_outputs"])
    for key, value in where.items():
        require(trials, key, "where")
        trials = trials[trials[key] == value]
    begun = trials["trial_id"].isin(set(results.curves["trial_id"]))
    trials = trials[begun & (trials["status"] != DIVERGED)]
    if finished:
        trials = trials[trials["status"] != PENDING]
    if trials.empty:
        raise ConfigError(f"where={dict(where)}: no stored trial {'has finished' if finished else 'to draw'}")
    return trials


def require(frame: pd.DataFrame, column: str, option: str) -> None:
    """Raise `ConfigError` where a column that a figure's option names does not exist."""
    if column not in frame:
        raise ConfigError(f"{option}={column}: no such column. {suggest(column, map(str, frame.columns))}".rstrip())


def final_metrics(results: Results, where: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row per trial with its columns and the metrics of its last eval point; pending trials are left out."""
    trials = selected(results, where, finished=True)
    curves = results.curves.sort_values("step").groupby("trial_id", as_index=False).last()
    return trials.merge(curves, on="trial_id")


def over_seeds(frame: pd.DataFrame, by: str, metrics: Sequence[str]) -> pd.DataFrame:
    """Return, for each value of `by`, count, mean and standard deviation over trials of each metric, in long form.

    Columns: `by`, metric, mean, sd (0 for a single trial), median, trials.
    """
    rows = []
    for value, group in frame.groupby(by):
        for metric in metrics:
            values = group[metric].to_numpy(float)
            sd = values.std(ddof=1) if len(values) > 1 else 0.0
            rows.append((value, metric, values.mean(), sd, np.median(values), len(values)))
    return pd.DataFrame(rows, columns=[by, "metric", "mean", "sd", "median", "trials"])


def curves_over_seeds(results: Results, trials: pd.DataFrame, group: str | None, metrics: Sequence[str]) -> pd.DataFrame:
    """Return median, lowest and highest value over trials of each metric at each eval step, for each value of `group`.

    A trial that stopped early keeps its last value. Columns: group, step, metric, median, low, high, trials.
    """
    rows = []
    groups = [(np.nan, trials)] if group is None else list(trials.groupby(group))
    for value, members in groups:
        curves = results.curves[results.curves["trial_id"].isin(set(members["trial_id"]))]
        for metric in metrics:
            table = curves.pivot_table(index="step", columns="trial_id", values=metric, dropna=False).sort_index().ffill()
            statistics = {"median": table.median(axis=1), "low": table.min(axis=1), "high": table.max(axis=1)}
            rows.append(pd.DataFrame(statistics).reset_index().assign(group=value, metric=metric, trials=table.shape[1]))
    return pd.concat(rows, ignore_index=True)[["group", "step", "metric", "median", "low", "high", "trials"]]


def first_step(curve: pd.DataFrame, metric: str, at_most: float) -> float:
    """Return the first eval step at which a metric is at most a value; nan where it never is."""
    steps = curve.loc[curve[metric] <= at_most, "step"]
    return float(steps.min()) if len(steps) else float("nan")


def sustained_step(curve: pd.DataFrame, metric: str, at_most: float) -> float:
    """Return the first eval step from which on a metric is at most a value at every later eval point; nan where none."""
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
