"""Columns of stored results: their labels, and what one must be for a figure or a claim."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd

from ddlab.errors import ConfigError, StoreError, suggest
from ddlab.report.options import shown

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


def label(name: str) -> str:
    """Return the axis label of a column."""
    return LABELS.get(name, name)


def text(value: Any) -> str:
    """Return a value of a column as text."""
    if value is None or value != value:
        return "null"
    return f"{value:g}" if isinstance(value, int | float | np.number) else str(value).replace("_", " ")


def number(metric: str, value: float) -> str:
    """Return a value of a metric as text: three digits, errors in percent."""
    return f"{100 * value:.1f} %" if metric.endswith("_error") else f"{value:.3g}"


def loss_name(trials: pd.DataFrame) -> str:
    """Return the axis label of the trials' training loss, with its unit."""
    names = {"cross_entropy": "cross-entropy (nats)", "mse": "mean squared error"}
    kinds = list(trials["train.loss"].unique())
    return names.get(kinds[0], "loss") if len(kinds) == 1 else "loss"


def quantity(metric: str, trials: pd.DataFrame) -> str:
    """Return what a metric is, with its unit, whichever examples it is measured on."""
    kind = metric.partition("_")[2] if metric in ("train_error", "test_error", "train_loss", "test_loss") else ""
    return {"error": "error", "loss": loss_name(trials)}[kind] if kind else label(metric)


def require(frame: pd.DataFrame, column: str, option: str, numeric: bool = True) -> None:
    """Raise `ConfigError` where a column that an option names does not exist (`NoSuchColumn`), or holds no numbers."""
    if column not in frame:
        raise NoSuchColumn(f"{option}={column}: no such column. {suggest(column, map(str, frame.columns))}".rstrip())
    if numeric and not pd.api.types.is_numeric_dtype(frame[column]):
        raise ConfigError(f"{option}={column}: must be a column of numbers")


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
