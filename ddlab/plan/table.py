"""How a sweep joins what its results directory holds: the same base config, a plan that grows, a lost plan made again."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ddlab.config.identity import Naming
from ddlab.config.trial import completed, load_leaves
from ddlab.errors import ConfigError, StoreError
from ddlab.files import DamagedPart
from ddlab.plan.packs import Pack, Packing, pack_of, pack_trials, say_over_budget
from ddlab.plan.trial import Trial
from ddlab.store.lease import Held, Lease
from ddlab.store.store import PlanLost, Store
from ddlab.store.tables import PLAN


def stored_plan(store: Store, as_packed: bool) -> pd.DataFrame:
    """Return the stored plan; empty, and reported, where it is lost.

    Args:
        store: the results directory.
        as_packed: trials would be packed today as they were; else only packs that have begun are kept.
    """
    try:
        plan = store.read_plan()
    except PlanLost as error:
        commands = _commands(store)
        others = f" (trials of other commands come back with these: {'; '.join(commands)})" if len(commands) > 1 else ""
        warnings.warn(f"{error}{others}", DamagedPart, stacklevel=2)
        return pd.DataFrame(columns=list(PLAN))
    begun = store.begun_packs()
    return plan if as_packed and begun else plan[plan["pack"].isin(begun)]


def extended_plan(store: Store, plan: pd.DataFrame, trials: Sequence[Trial], packing: Packing) -> pd.DataFrame:
    """Return the stored plan with the trials that it lacks appended, packed among themselves.

    Stored packs stay as they are: an unfinished one goes on with the same compiled program.
    """
    plan = plan.assign(config=[_completed(config) for config in plan["config"]])
    known = set(plan["trial_id"])
    new = [trial for trial in trials if trial.id not in known]
    unknown = {pack: store.stored_trials(pack) for pack in store.begun_packs() - set(plan["pack"])}
    packs = _packs_of_lost_plan(store, unknown, new, packing) if unknown else {}
    placed = {trial.id for pack in packs.values() for trial in pack.trials}
    rest = [trial for trial in new if trial.id not in placed]
    packs |= dict(enumerate(pack_trials(rest, packing), 1 + max([-1, *plan["pack"], *unknown, *packs])))
    for number in unknown.keys() - packs.keys():
        if unknown[number] & {trial.id for trial in rest}:
            _begin_again(store, number)
    say_over_budget(list(packs.values()), packing)
    rows = []
    for index, pack in packs.items():
        seconds = pack.seconds(packing.machine)
        rows += [{**_plan_row(trial, pack, index), "estimated_seconds": seconds} for trial in pack.trials]
    added = pd.DataFrame(rows)
    return added if plan.empty else pd.concat([plan, added], ignore_index=True) if rows else plan


def _completed(config: str) -> str:
    """Return a stored config with the knobs that were added since: they are off, so that it is that of the same trial."""
    try:
        stored = load_leaves(config)
        leaves = completed(stored)
    except (ValueError, TypeError, AttributeError, ConfigError):
        return config  # damaged, or of a component that is gone: that is said where its pack runs
    return config if leaves.keys() == stored.keys() else Naming(leaves).config({})


def _begin_again(store: Store, pack: int) -> None:
    """Remove what is stored of a pack of a lost plan, whose trials are in another pack now.

    Raises:
        StoreError: it is finished, and has trials of another command; or a process is at work on it.
    """
    if store.is_finished(pack):
        raise StoreError(
            f"{store.root}: the plan is lost, and pack {pack} has trials of another command, too;"
            f" run that first: {'; '.join(_commands(store))}"
        )
    try:
        with Lease(store.pack_lease_file(pack)):
            warnings.warn(f"{store.root}: pack {pack} is of a lost plan, its trials begin again", DamagedPart, stacklevel=2)
            store.clear_pack(pack)
    except Held as holder:
        raise StoreError(f"{store.root}: the plan is lost, and pack {pack} is being run by {holder}; wait for it") from holder


def check_same_trials(store: Store, trials: Sequence[Trial]) -> None:
    """Refuse to make a damaged sweep.yaml again from a command that does not know all that is stored.

    Raises:
        StoreError: naming the commands that may.
    """
    stored = {trial for pack in store.begun_packs() for trial in store.stored_trials(pack)}
    if stored - {trial.id for trial in trials}:
        raise StoreError(
            f"{store.sweep_file}: missing or damaged, and there are trials of another command; run that first"
            f" ({'; '.join(_commands(store))}), or add extend=true"
        )


def _commands(store: Store) -> list[str]:
    return sorted({run["command"] for run in store.read_provenance()})


def _packs_of_lost_plan(
    store: Store, unknown: Mapping[int, set[str]], trials: Sequence[Trial], packing: Packing
) -> dict[int, Pack]:
    """Return packs by number that are those of a plan which was lost.

    Where the trials, packed anew, agree with all that is stored, they are packed as they were, unfinished packs too; else the
    finished packs are known by their trials.
    """
    finished = store.finished_packs() & unknown.keys()
    again = dict(enumerate(pack_trials(trials, packing)))
    ids = {pack: {trial.id for trial in again[pack].trials} for pack in again}
    if all(
        pack in ids and (stored == ids[pack] if pack in finished else stored <= ids[pack]) for pack, stored in unknown.items()
    ):
        return again
    by_id = {trial.id: trial for trial in trials}
    return {
        pack: pack_of([by_id[trial_id] for trial_id in sorted(unknown[pack])], packing)
        for pack in finished
        if unknown[pack] <= by_id.keys()
    }


def _plan_row(trial: Trial, pack: Pack, index: int) -> dict[str, Any]:
    size = trial.shape.size
    return {
        "trial_id": trial.id,
        "weights_id": trial.weights_id,
        "pack": index,
        "config": trial.config,
        "choices": json.dumps({**trial.shape.part.choices, **trial.labels}),
        "num_params": size.num_params,
        "num_train": size.num_train,
        "num_outputs": size.num_outputs,
        "flops": pack.flops / len(pack.trials),
        "level": trial.level,
        "parents": json.dumps([[parent.trial.id, parent.step, parent.optimizer] for parent in trial.parents]),
        "room": pack.room,
    }
