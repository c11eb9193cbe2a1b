"""Copies a finished sweep into a small results directory: one file a table, and what its figures and claims need.

    python tests/reference/compact.py results/NAME results/reference/NAME

Numbers are rounded to float32. Of trials of which nothing runs along the steps, only the last eval point is kept; of
predictions, those at the first few test points, but for ensembles of classes.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ddlab.config.columns import NUM_LIVE
from ddlab.report.crossings import KINDS as LEVELS
from ddlab.report.ensembles import ENSEMBLE_METRICS
from ddlab.report.selection import matching, with_ratios
from ddlab.store.provenance import add_provenance
from ddlab.store.results import Results, load
from ddlab.store.store import Store

# Recipes and claims that go along the steps, and what each trial is always known by.
ALONG_STEPS = {"grokking", "steps_to_grok", "heatmap", "progress", "spectrum", "plateau", "step", "time", "stop_by", *LEVELS}
KEYS, LOSSES = ["trial_id", "step"], ["train_loss", "test_loss", "train_error", "test_error"]
PREDICTIONS, POINTS = ["predictions", "prediction_targets", "variance_noise"], 15
OF_CLASSES = {"ensemble_error", "ensemble_loss", "member_error", "member_loss"}


def words_of(spec: Any) -> Iterator[str]:
    """Yield every text in the options of figures and claims."""
    if isinstance(spec, dict):
        for key, value in spec.items():
            yield from (str(key), *words_of(value))
    elif isinstance(spec, list):
        for value in spec:
            yield from words_of(value)
    else:
        yield str(spec)


def along_steps(results: Results) -> set[str]:
    """Return the trials of which a figure or a claim goes along the steps."""
    found: set[str] = set()
    for spec in [*results.sweep["figures"].values(), *results.sweep["claims"].values()]:
        if ALONG_STEPS & set(words_of(spec)):
            where, less = spec.get("where", {}), spec.get("less", {}).get("where", {})
            for selection in (where, {**where, **less}):
                found |= set(matching(with_ratios(results.trials), selection)["trial_id"])
    return found


def compact(source: Path, target: Path) -> None:
    """Write the small copy of a finished sweep; what the target held is removed."""
    store, small, results = Store(source), Store(target), load(source)
    words = set(words_of([results.sweep["figures"], results.sweep["claims"]]))
    curves = results.curves
    last = dict(zip(results.trials["trial_id"], results.trials["last_step"], strict=True))
    curves = curves[(curves["step"] == curves["trial_id"].map(last)) | curves["trial_id"].isin(along_steps(results))]
    wanted = {*KEYS, *LOSSES, *words, *(PREDICTIONS if words & {"bias_variance", *ENSEMBLE_METRICS} else ())}
    cut = PREDICTIONS if not words & OF_CLASSES else ()
    columns = {str(name): _small(curves[name].to_numpy(), name in cut) for name in curves if name in wanted}
    if NUM_LIVE in results.trials:
        live = dict(zip(results.trials["trial_id"], results.trials[NUM_LIVE], strict=True))
        columns[NUM_LIVE] = curves["trial_id"].map(live).to_numpy()
    outcomes = results.trials[["trial_id", "status", "last_step", "num_rows", "seconds"]].copy()
    outcomes["num_rows"] = outcomes["trial_id"].map(curves.groupby("trial_id").size())
    abouts = store.read_abouts().values()
    spent = {key: sum(about[key] for about in abouts) for key in next(iter(abouts)) if key.endswith(("_seconds", "_steps"))}
    shutil.rmtree(target, ignore_errors=True)
    small.write_sweep(store.read_sweep())
    small.write_plan(store.read_plan().assign(pack=0))
    for run in store.read_provenance():
        add_provenance(small.provenance_file, _anywhere(run))
    small.write_part(0, 0, columns)
    small.write_outcome(0, {str(name): outcomes[name].to_numpy() for name in outcomes}, {**spent, "num_parts": 1})


def _anywhere(run: dict[str, Any]) -> dict[str, Any]:
    """Return what is said of a run but for where its results lay."""
    command = " ".join(word for word in run["command"].split() if not word.startswith("out="))
    return {**run, "command": command, "overrides": [word for word in run["overrides"] if not word.startswith("out=")]}


def _small(values: np.ndarray, is_cut: bool) -> np.ndarray:
    if values.dtype == object and not isinstance(values[0], str):
        stored = [value for value in values if isinstance(value, np.ndarray)]
        nothing = np.full_like(stored[0], np.nan)  # of trials of another part, whose measures are others
        whole = np.stack([value if isinstance(value, np.ndarray) else nothing for value in values])
        return whole[:, : POINTS if is_cut else None].astype(np.float32)
    return values.astype(np.float32) if values.dtype.kind == "f" else values


if __name__ == "__main__":
    compact(*map(Path, sys.argv[1:]))
