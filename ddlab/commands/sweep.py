"""`ddlab sweep`: stores the plan of a sweep, and launches the packs that are not finished."""

from __future__ import annotations

import shlex
import sys
import warnings
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import pandas as pd

from ddlab.commands.hydra import run_application
from ddlab.commands.launch import (
    Launch,
    as_command,
    in_this_process,
    jobs_of,
    launch_packs,
    run_packs,
    submitted_jobs,
    tell_what_goes_on,
)
from ddlab.commands.names import name_first
from ddlab.commands.planning import Planned, plan_sweep
from ddlab.commands.rounds import rounds
from ddlab.compose.stored import check_same_base, describe_sweep
from ddlab.compose.sweep import Composer, compose_sweep
from ddlab.errors import StoreError
from ddlab.files import DamagedPart
from ddlab.job import signals
from ddlab.plan.table import check_same_trials, extended_plan, stored_plan
from ddlab.store.kept import no_longer_wanted
from ddlab.store.lease import Lease, claim
from ddlab.store.provenance import add_provenance, this_run
from ddlab.store.results import load_trials
from ddlab.store.store import Store


def run(arguments: Sequence[str]) -> int:
    """Hand a sweep to Hydra, whose Sweeper calls `train_sweep`."""
    run_application("sweep", *name_first("sweep", arguments))
    return 0


def train_sweep(name: str, composer: Composer, overrides: Sequence[str], command: str, launch: Launch) -> None:
    """Train what is not stored yet.

    Args:
        name: the sweep's.
        composer: access to Hydra.
        overrides: of the command line.
        command: the command line as the user typed it.
        launch: hands jobs, each a list of overrides, to Hydra's launcher.

    Raises:
        StoreError: other processes are at work on some of it.
    """
    sweep = compose_sweep(composer, overrides)
    planned = plan_sweep(name, sweep, alone=in_this_process(sweep.config))
    store = Store(Path(sweep.config.out))
    if store.sweep_is_whole():
        store.read_sweep()  # refuses what another version of ddlab has written
    wanted: set[str] = set()
    pending: list[int] = []
    with claim(store):
        _check_damaged(store, planned)
        for each in rounds(planned, store):
            pending = _store_plan(store, each)
            if not wanted:
                add_provenance(store.provenance_file, this_run(command, overrides))
            wanted |= {trial.id for trial in each.trials}
            if pending:
                _run_round(each, pending, store, launch)
        if planned.refinement and not _left(store, pending):
            store.write_sweep({**store.read_sweep(), "more_rounds": False})
    _print_summary(name, store, wanted)
    if sweep.config.profile and (store.root / "profile").exists():
        print(f"profiles: {store.root / 'profile'}; for TensorBoard, or open a trace.json.gz in Perfetto")
    if left := _left(store, pending):
        holders = [f"pack {pack} to {Lease(store.pack_lease_file(pack)).living or 'nobody any more'}" for pack in left]
        raise StoreError(f"not all is done: {', '.join(holders)}; the same command goes on when they have ended")


def _run_round(planned: Planned, pending: Sequence[int], store: Store, launch: Launch) -> None:
    """Run the packs of a round that are not finished."""
    signals.check()
    if planned.why:
        print(f"ddlab: {planned.why}", file=sys.stderr)
    config = planned.sweep.config
    submitted = submitted_jobs(store)
    plan = store.read_plan(columns=["trial_id", "pack", "level", "parents"])
    try:
        for packs in _by_level(pending, plan, in_this_process(config)):
            if in_this_process(config):
                run_packs(packs, store, planned.settings)
            else:
                with as_command():
                    launch_packs(launch, packs, jobs_of(packs, store, config))
            if not planned.settings.keep_weights:
                store.clear_kept(no_longer_wanted(plan, set(plan["pack"]) - store.finished_packs()))
    except KeyboardInterrupt:
        tell_what_goes_on(store, pending, submitted_jobs(store) - submitted)
        raise


def _by_level(packs: Sequence[int], plan: pd.DataFrame, in_turn: bool) -> list[list[int]]:
    """Return packs as they may be launched together, lower levels first: those of a level; all, where they run in turn."""
    level_of = dict(zip(plan["pack"], plan["level"], strict=True))
    ordered = sorted(packs, key=lambda pack: (level_of[pack], pack))
    return [ordered] if in_turn else [list(group) for _, group in groupby(ordered, level_of.__getitem__)]


def _left(store: Store, pending: Sequence[int]) -> list[int]:
    """Return the packs of a round that was run which are at work elsewhere."""
    return [pack for pack in pending if not store.trials_file(pack).exists()]


def _check_damaged(store: Store, planned: Planned) -> None:
    """Refuse to make a damaged sweep.yaml again from a command that does not know all that is stored."""
    if store.sweep_is_whole():
        return
    if store.begun_packs() and not planned.sweep.config.extend:
        check_same_trials(store, [trial for each in rounds(planned, store) for trial in each.trials])
    if store.exists():
        warnings.warn(f"{store.sweep_file}: damaged, made again", DamagedPart, stacklevel=2)


def _store_plan(store: Store, planned: Planned) -> list[int]:
    """Store what the sweep is and the plan of a round; return the packs that are to be run."""
    sweep, trials, settings = planned.sweep, planned.trials, planned.settings
    stored = store.read_sweep() if store.sweep_is_whole() else None
    stored_parts = stored["parts"] if stored and store.begun_packs() else []
    check_same_base(store, stored_parts, sweep)
    about = describe_sweep(planned.name, sweep, stored_parts)
    about["packing"] = {"max_trials": settings.max_trials, "memory_gib": settings.memory_gib}
    about["more_rounds"] = planned.refinement is not None
    as_packed = stored is not None and stored.get("packing") == about["packing"] and stored.get("refine", {}) == about["refine"]
    plan = extended_plan(store, stored_plan(store, as_packed), trials, planned.packing)
    wanted = plan[plan["trial_id"].isin({trial.id for trial in trials})]
    pending = sorted(set(wanted["pack"]) - store.finished_packs())
    store.write_plan(plan)
    store.write_sweep(about)
    done = len(wanted) - int(wanted["pack"].isin(pending).sum())
    if done:
        of_round = f" of the {planned.round}" if planned.round else ""
        print(f"{done:,} of {len(wanted):,} trials{of_round} are stored already in {store.root}", file=sys.stderr)
    return pending


def _print_summary(name: str, store: Store, wanted: set[str]) -> None:
    trials = load_trials(store)
    trials = trials[trials["trial_id"].isin(wanted)]
    counts = ", ".join(f"{count:,} {status}" for status, count in trials["status"].value_counts().items())
    target = shlex.quote(name if store.root == Path("results") / name else str(store.root))
    print(f"{len(trials):,} trials ({counts}) in {store.root}\nnext: ddlab report {target}")
