"""`ddlab sweep`: stores the plan of a sweep, and launches the packs that are not finished."""

from __future__ import annotations

import shlex
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
from ddlab.compose.stored import check_same_base, describe_sweep
from ddlab.compose.sweep import Composer, compose_sweep
from ddlab.errors import StoreError
from ddlab.files import DamagedPart
from ddlab.job import signals
from ddlab.plan.table import check_same_trials, extended_plan, stored_plan
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
    alone = in_this_process(sweep.config)
    planned = plan_sweep(name, sweep, alone)
    store = Store(Path(sweep.config.out))
    if store.sweep_is_whole():
        store.read_sweep()  # refuses what another version of ddlab has written
    with claim(store):
        pending = _store_plan(store, planned, this_run(command, overrides))
        if pending:
            signals.check()
            submitted = submitted_jobs(store)
            try:
                if alone:
                    run_packs(pending, store, planned.settings)
                else:
                    with as_command():
                        launch_packs(launch, pending, jobs_of(pending, store, sweep.config))
            except KeyboardInterrupt:
                tell_what_goes_on(store, pending, submitted_jobs(store) - submitted)
                raise
    _print_summary(name, store, {trial.id for trial in planned.trials})
    if sweep.config.profile and (store.root / "profile").exists():
        print(f"profiles: {store.root / 'profile'}; for TensorBoard, or open a trace.json.gz in Perfetto")
    if left := [pack for pack in pending if not store.trials_file(pack).exists()]:
        holders = [f"pack {pack} to {Lease(store.pack_lease_file(pack)).living or 'nobody any more'}" for pack in left]
        raise StoreError(f"not all is done: {', '.join(holders)}; the same command goes on when they have ended")


def _store_plan(store: Store, planned: Planned, run: Mapping[str, Any]) -> list[int]:
    """Store what the sweep is and its plan; return the packs that are to be run."""
    sweep, trials, settings = planned.sweep, planned.trials, planned.settings
    if not store.sweep_is_whole():
        if not sweep.config.extend:
            check_same_trials(store, trials)
        if store.exists():
            warnings.warn(f"{store.sweep_file}: damaged, made again", DamagedPart, stacklevel=2)
    stored = store.read_sweep() if store.sweep_is_whole() else None
    stored_parts = stored["parts"] if stored and store.begun_packs() else []
    check_same_base(store, stored_parts, sweep)
    packing = {"max_trials": settings.max_trials, "memory_gib": settings.memory_gib}
    plan = stored_plan(store, as_packed=stored is not None and stored.get("packing") == packing)
    plan = extended_plan(store, plan, trials, planned.packing)
    wanted = plan[plan["trial_id"].isin({trial.id for trial in trials})]
    pending = sorted(set(wanted["pack"]) - store.finished_packs())
    store.write_plan(plan)
    store.write_sweep({**describe_sweep(planned.name, sweep, stored_parts), "packing": packing})
    add_provenance(store.provenance_file, run)
    done = len(wanted) - int(wanted["pack"].isin(pending).sum())
    if done:
        print(f"{done:,} of {len(wanted):,} trials are stored already in {store.root}", file=sys.stderr)
    return pending


def _print_summary(name: str, store: Store, wanted: set[str]) -> None:
    trials = load_trials(store)
    trials = trials[trials["trial_id"].isin(wanted)]
    counts = ", ".join(f"{count:,} {status}" for status, count in trials["status"].value_counts().items())
    target = shlex.quote(name if store.root == Path("results") / name else str(store.root))
    print(f"{len(trials):,} trials ({counts}) in {store.root}\nnext: ddlab report {target}")
