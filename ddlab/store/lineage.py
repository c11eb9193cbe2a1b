"""What a trial is by those that it starts from: the steps that its weights have come, and how many of them live."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from ddlab.config.columns import NUM_LIVE
from ddlab.config.trial import clock_of, load_leaves, named_trials

LINEAGE = ("level", "lineage_steps", NUM_LIVE, "live_per_sample")


def with_lineage(trials: pd.DataFrame, plan: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """Return the trials of a sweep of stages with the columns of `LINEAGE`, what they start from by the names of stages.

    lineage_steps: the steps of a trial and of all that it starts from, each counted once, up to where it was taken.
    num_live: parameters that live; live_per_sample: that divided by N.

    Args:
        trials: as `ddlab.store.results.load_trials` has them.
        plan: of the store.
        curves: likewise.
    """
    if "stage" not in trials:
        return trials
    ids = plan["trial_id"]
    configs = [load_leaves(config) for config in plan["config"]]
    clocks = dict(zip(ids, map(clock_of, configs), strict=True))
    parents: Parents = {trial: json.loads(text) for trial, text in zip(ids, plan["parents"], strict=True)}
    last_steps = dict(zip(trials["trial_id"], trials["last_step"], strict=True))
    steps = [_steps(trial, parents, last_steps, clocks) for trial in trials["trial_id"]]
    live = trials["num_params"].astype(float)
    if NUM_LIVE in curves:
        counted = curves.dropna(subset=[NUM_LIVE]).groupby("trial_id")[NUM_LIVE].last()
        live = trials["trial_id"].map(counted).fillna(live)
    stages = dict(zip([*trials["weights_id"], *trials["trial_id"]], 2 * list(trials["stage"]), strict=True))
    starting = sorted({key for leaves in configs for key in named_trials(leaves)} & set(trials))
    of = {name: trials[name].map(partial(_by_stage, stages)) for name in starting}
    level = dict(zip(ids, plan["level"], strict=True))
    return trials.assign(
        **of,
        level=trials["trial_id"].map(level),
        lineage_steps=steps,
        num_live=live,
        live_per_sample=live / trials["num_train"],
    )


def _by_stage(stages: Mapping[str, str], trials: Any) -> Any:
    """Return the stage of a trial, or those of some."""
    return tuple(stages.get(trial, trial) for trial in trials) if isinstance(trials, tuple) else stages.get(trials, trials)


Parents = Mapping[str, list[tuple[str, int | None, bool]]]


def _steps(trial: str, parents: Parents, last_steps: Mapping[str, float], clocks: Mapping[str, int]) -> float:
    """Return the steps that a trial's weights have come; nan where it is not done."""
    reached: dict[str, float] = {}

    def follow(name: str, step: float) -> None:
        is_known = name in reached
        if step > reached.get(name, -np.inf) or step != step:
            reached[name] = step
        if is_known:
            return
        for parent, at, _ in parents.get(name, ()):
            last = last_steps.get(parent, np.nan)
            follow(parent, last if at is None else min(at, last))

    follow(trial, last_steps[trial])
    return float(sum(step - clocks[name] for name, step in reached.items()))
