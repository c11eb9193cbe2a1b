"""Reading a results directory back: trials and curves as frames, what is damaged reported and left out."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ddlab.config.columns import NUM_LIVE
from ddlab.config.trial import load_leaves
from ddlab.errors import StoreError
from ddlab.files import DamagedPart, first_line
from ddlab.store.lineage import LINEAGE, with_lineage
from ddlab.store.store import PlanLost, Store
from ddlab.store.sweep_file import REMEDY

# Columns of trials and curves that are no metrics.
OWN_COLUMNS = (
    *("trial_id", "weights_id", "step", "seed", "status", "seconds", "last_step", "num_rows", "data_checksum"),
    *("num_params", "num_train", "num_outputs", "params_per_sample", "params_per_sample_output"),
    *("stage", "round", *LINEAGE),
)

PENDING, COMPLETED, STOPPED, DIVERGED = "pending", "completed", "stopped", "diverged"

# Of a trial that was to start from one which has diverged.
ORPHANED = "orphaned"


@dataclass(frozen=True)
class Results:
    """Stored metrics.

    Attributes:
        trials: one row per planned trial: trial_id and weights_id (`ddlab.config.identity`), config leaves by dotted name,
            config-group choices ("data", "model", ...), num_params, num_train, num_outputs, params_per_sample, status (pending,
            completed, stopped, diverged, orphaned), last_step, seconds; of stages also stage, round and those of
            `ddlab.store.lineage`.
        curves: one row per (trial, eval point): trial_id, step, train_loss, test_loss, train_error, test_error, measures.
            Errors are fractions in 0..1.
        sweep: the content of sweep.yaml.
    """

    trials: pd.DataFrame
    curves: pd.DataFrame
    sweep: Mapping[str, Any]

    @property
    def seeds(self) -> tuple[str, ...]:
        """The columns of the trials that are seeds."""
        return tuple(dict.fromkeys(seed for part in self.sweep["parts"] for seed in part["seeds"]))


def load(directory: str | Path) -> Results:
    """Load a results directory, such as ``ddlab.load("results/mnist1d_width")``.

    Damaged files are reported by a `DamagedPart` warning and left out.
    """
    store = Store(directory)
    return load_results(store, store.read_sweep())


def load_results(store: Store, sweep: Mapping[str, Any]) -> Results:
    """Return what a results directory holds of a sweep that is known, as `load` does."""
    trials = load_trials(store)
    tables, is_whole = store.curves()
    empty = pd.DataFrame({"trial_id": pd.Series(dtype=str), "step": pd.Series(dtype="int64")})
    curves = _joined(tables, store.root / "curves").to_pandas() if tables else empty
    if is_whole:
        _check_rows(store, trials, curves)
    trials = with_lineage(trials, store.read_plan(), curves)
    return Results(trials, _along_path(curves.drop(columns=NUM_LIVE, errors="ignore"), sweep), sweep)


def _along_path(curves: pd.DataFrame, sweep: Mapping[str, Any]) -> pd.DataFrame:
    """Return curves with what was measured along the path at the end of training (`ddlab.config.columns`) at its eval points."""
    declared = {name: about for part in sweep["parts"] for name, about in part["columns"].items()}
    along_path = [name for name, about in declared.items() if about.get("along_path") and name in curves]
    names = [name for name in along_path if curves[name].dtype == object]  # reference results have a number at each eval point
    if not names:
        return curves
    curves = curves.sort_values(["trial_id", "step"], ignore_index=True)
    for name in names:
        found = np.full(len(curves), np.nan)
        for rows in curves.groupby("trial_id").indices.values():
            last = curves[name].iloc[rows[-1]]
            if last is not None and len(last) == len(rows):  # else the trial has not come to its end, or rows are missing
                found[rows] = last
        curves[name] = found
    return curves


def load_trials(store: Store) -> pd.DataFrame:
    """Return one row for each planned trial, as in `Results.trials`; damaged files are reported and left out."""
    trials = _planned_trials(store)
    outcomes = [table for _, table, _ in store.outcomes()]
    if outcomes:
        outcome = _joined(outcomes, store.root / "trials").to_pandas()
        trials = trials.merge(outcome, on="trial_id", how="left")
    else:
        trials = trials.assign(status=None, seconds=np.nan, last_step=np.nan, num_rows=np.nan)
    trials["status"] = trials["status"].fillna(PENDING)
    return trials


def _planned_trials(store: Store) -> pd.DataFrame:
    plan = store.read_plan()
    if plan.empty:
        raise PlanLost(f"{store.plan_file}: damaged (no trials in it); {REMEDY}")
    try:
        return pd.DataFrame([_trial_row(row) for row in plan.to_dict("records")])
    except (ValueError, TypeError, AttributeError, ZeroDivisionError) as error:
        raise PlanLost(f"{store.plan_file}: damaged ({first_line(error)}); {REMEDY}") from error


def _trial_row(row: Mapping[str, Any]) -> dict[str, Any]:
    known = {key: row[key] for key in ("num_params", "num_train", "num_outputs")}
    return {
        "trial_id": row["trial_id"],
        "weights_id": row["weights_id"],
        **json.loads(row["choices"]),
        **load_leaves(row["config"]),
        **known,
        "params_per_sample": known["num_params"] / known["num_train"],
    }


def _check_rows(store: Store, trials: pd.DataFrame, curves: pd.DataFrame) -> None:
    """Report trials whose rows are not as many as their outcome says, or are stored twice."""
    counts = trials["trial_id"].map(curves.groupby("trial_id").size()).fillna(0)
    wrong = trials.loc[trials["num_rows"].notna() & (counts != trials["num_rows"]), "trial_id"]
    twice = curves.loc[curves.duplicated(["trial_id", "step"]), "trial_id"]
    if num := len({*wrong, *twice}):
        warnings.warn(f"{store.root}: rows of {num:,} trials are missing or stored twice; {REMEDY}", DamagedPart, stacklevel=3)


def _joined(tables: Sequence[pa.Table], directory: Path) -> pa.Table:
    """Return the rows of all tables.

    Raises:
        StoreError: a column has numbers in one of them and lists in another.
    """
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise StoreError(f"{directory}: packs disagree about the type of a column ({first_line(error)})") from error
