"""Which trials a figure or a claim is of."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ddlab.config.catalog import PLACES
from ddlab.errors import ConfigError, suggest
from ddlab.report.columns import NoSuchColumn, label, text, written
from ddlab.report.options import shown
from ddlab.store.lineage import LINEAGE
from ddlab.store.results import DIVERGED, PENDING, Results

# What follows from the config of a trial rather than being chosen.
SAMPLES_PER_EMC = "samples_per_emc"
DERIVED = (
    *("num_params", "num_train", "num_outputs", "params_per_sample", "params_per_sample_output"),
    *(SAMPLES_PER_EMC, *LINEAGE),
)

# What is said of how a trial was run.
OF_RUN = ("trial_id", "weights_id", "status", "seconds", "last_step", "num_rows", "data_checksum")


class NotPlanned(ConfigError):
    """Trials that a results directory never planned."""


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
        chosen = " with " + _words(where) if where else ""
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
            raise NoSuchColumn(f"where.{key}={written(value)}: no such column. {suggest(key, map(str, trials.columns))}".rstrip())
        if isinstance(value, str | bool) and _holds_numbers(trials[key]):
            raise ConfigError(f"where.{key}={value}: the column holds numbers")
        trials = trials[trials[key].isna() if value is None or value != value else trials[key] == value]
    return trials


def in_words(where: Mapping[str, Any]) -> str:
    """Return a selection of trials in words: "label noise 0.2"; of the parts that a sweep names itself their names alone."""
    return ", ".join(text(value) if _is_part(key, value) else f"{label(key)} {text(value)}" for key, value in where.items())


def _is_part(key: str, value: Any) -> bool:
    """Whether a column tells parts of a sweep apart: a config group of the sweep's own, such as effective_model_complexity."""
    return isinstance(value, str) and "." not in key and key not in (*PLACES, *OF_RUN)


def _holds_numbers(column: pd.Series) -> bool:
    types = pd.api.types
    return types.is_numeric_dtype(column) and not types.is_bool_dtype(column) and bool(column.notna().any())


def _words(where: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={written(value)}" for key, value in where.items())


def _absent(trials: pd.DataFrame, where: Mapping[str, Any]) -> str:
    """Return a selection that no trial matches in words, with the values that the trials have of the first column at fault."""
    for key, value in where.items():
        if matching(trials, {key: value}).empty:
            known = trials[key].dropna()
            values = sorted((known if pd.api.types.is_numeric_dtype(known) else known.map(str)).unique())
            few = ", ".join(map(written, values[:6])) + (", ..." if len(values) > 6 else "")
            return _words({key: value}) + (f" (they have {few})" if few else "")
    return _words(where)


def check_selection(option: str, selection: Any) -> None:
    """Raise `ConfigError` for a selection of trials, column -> value, that is none."""
    if not isinstance(selection, Mapping):
        raise ConfigError(f"{option}={shown(selection)}: must be a mapping, column: value")
    for key, value in selection.items():
        if not isinstance(key, str):
            raise ConfigError(f"{option}.{shown(key)}: must be the name of a column")
        if not isinstance(value, str | int | float | None) or (isinstance(value, int) and abs(value) > sys.float_info.max):
            raise ConfigError(f"{option}.{key}={shown(value)}: must be one value of the column {key}")


def require_seeds_only(trials: pd.DataFrame, by: Sequence[str], seeds: Sequence[str]) -> None:
    """Raise `ConfigError` where trials that a figure would average differ in more than their seeds.

    Args:
        trials: the trials of a figure.
        by: the columns that the figure tells apart; what they determine (the P of a width) may differ too.
        seeds: the columns of seeds.
    """
    about = {*OF_RUN, *seeds, *by}
    groups = trials.groupby(list(by), dropna=False) if by else trials.assign(all=0).groupby("all")
    mixed = [column for column in trials if column not in about and groups[column].nunique(dropna=False).max() > 1]
    leaves = [column for column in mixed if column not in DERIVED]
    if leaves:
        values = ", ".join(map(written, sorted(trials[leaves[0]].unique(), key=str)[:4]))
        raise ConfigError(
            f"trials that differ in {', '.join(leaves[:2])}{' and more' if len(leaves) > 2 else ''} would be averaged as if they"
            f" were seeds; select some: where.{leaves[0]}=VALUE ({values})"
        )
