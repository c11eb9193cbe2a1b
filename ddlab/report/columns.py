"""Columns of stored results: their labels, and what one must be for a figure or a claim."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ddlab.errors import ConfigError, StoreError, suggest
from ddlab.report.ensembles import ENSEMBLE_METRICS
from ddlab.report.options import shown
from ddlab.store.results import Results

# Test errors on true labels, and on labels with the noise of training (`ddlab.report.derived`).
CLEAN_ERROR, NOISY_ERROR = "test_error", "noisy_test_error"

# Column -> label, where its name in words says less. Any other numeric column of the trials may be a horizontal axis, too.
LABELS = {
    "params_per_sample": "parameters per training example P/N",
    "params_per_sample_output": "parameters per training example and output P/(N K)",
    "samples_per_emc": "training examples N per effective model complexity",
    "num_params": "parameters P",
    "num_live": "live parameters",
    "live_per_sample": "live parameters per example",
    "lineage_steps": "optimizer steps, with those before the start",
    "num_train": "training examples N",
    "data.num_train": "training examples N",
    "model.width": "width",
    "step": "optimizer steps",
    "time": "time (learning rate x steps)",
    "data.train_fraction": "fraction of the data trained on",
    "data.operation": "operation",
    "optimizer.weight_decay": "weight decay",
    "data.label_noise": "label noise",
    "data.signal": "signal",
    "start.mask.drop": "share of the weights taken out",
    "start.mask.step": "step at which the weights are scored",
    "train.teacher.step": "step of the teacher",
    "train.teacher.temperature": "temperature of the teacher",
    "data.noise_variance": "noise variance",
    NOISY_ERROR: "test error (noisy labels)",
    "clean_train_error": "train error (right labels)",
    "memorised": "wrong labels memorised",
    "unlearned": "wrong labels answered rightly",
    "ensemble_risk": "risk of the ensemble",
    "member_risk": "risk of its members",
}

# Columns that are shares, beside errors.
SHARES = ("memorised", "unlearned")

# A sum of powers of a and b, such as a3+ab2+b, which is shown with exponents.
POLYNOMIAL = re.compile(r"[ab2-9]+(\+[ab2-9]+)+")
EXPONENTS = str.maketrans("23456789", "\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")


class NoSuchColumn(ConfigError):
    """A column that the trials or curves do not have."""


def label(name: str) -> str:
    """Return a column in words: the keys of a config as they are."""
    return LABELS.get(name, name if "." in name else name.replace("_", " "))


def label_among(metric: str, trials: pd.DataFrame) -> str:
    """Return a metric of some trials in words; where these have label noise, it is said that a test error is on true labels."""
    if metric != CLEAN_ERROR or "data.label_noise" not in trials:
        return label(metric)
    has_noise = bool((pd.to_numeric(trials["data.label_noise"], errors="coerce") > 0).any())
    return f"{label(metric)}{' (clean labels)' if has_noise else ''}"


def is_share(metric: str) -> bool:
    """Return whether a metric is a share of one, shown in percent: an error, or one of wrong labels."""
    return metric.endswith("_error") or metric in SHARES


def text(value: Any) -> str:
    """Return a value of a column as text."""
    if value is None or value != value:
        return "null"
    if isinstance(value, int | float | np.number):
        return f"{value:g}"
    name = str(value)
    return name.translate(EXPONENTS) if POLYNOMIAL.fullmatch(name) else name.replace("_", " ")


def written(value: Any) -> str:
    """Return a value of a column as `where` takes it: null for one that is missing."""
    if value is None or value != value:
        return "null"
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def number(metric: str, value: float) -> str:
    """Return a value of a metric as text: three digits, errors and other shares in percent."""
    return f"{100 * value:.1f} %" if is_share(metric) else digits(value)


def digits(value: float) -> str:
    """Return a number as text: three digits, of one from a thousand on whole, as 5,140."""
    return f"{float(f'{value:.3g}'):,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"


def place(value: float) -> str:
    """Return where on an axis something is, as text: a whole number in full, as 3,032, another one with three digits."""
    return f"{value:,.0f}" if value == round(value, 0) and abs(value) < 1e9 else digits(value)


def quantity(metric: str, results: Results, trials: pd.DataFrame) -> str:
    """Return what a metric is, with its unit, as the component that gives it declares, whichever examples it is measured on."""
    if metric.endswith("_error"):
        return "error"
    name = "loss" if metric.partition("_")[2] == "loss" else metric
    losses = set(trials["train.loss"]) if "train.loss" in trials else {None}
    parts = [part for part in results.sweep["parts"] if name != "loss" or part["choices"].get("train.loss") in losses]
    declared = {_with_unit(part["columns"][name]) for part in parts if name in part["columns"]}
    return declared.pop() if len(declared) == 1 else label(name)


def named(metric: str, quantity: str) -> str:
    """Return a metric in words with its unit: the quantity that it is, of a loss with the examples that it is measured on."""
    if metric.endswith("_error"):
        return label(metric)
    split, _, kind = metric.partition("_")
    return f"{split} {quantity}" if kind == "loss" else quantity


def _with_unit(about: Mapping[str, Any]) -> str:
    return f"{about['label']} ({about['unit']})" if about["unit"] else str(about["label"])


def require(frame: pd.DataFrame, column: str, option: str, numeric: bool = True) -> None:
    """Raise `ConfigError` where a column that an option names does not exist (`NoSuchColumn`), or holds no numbers."""
    if column not in frame and column in ENSEMBLE_METRICS:
        raise NoSuchColumn(f"{option}={column}: takes stored metrics only, none of an ensemble")
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
