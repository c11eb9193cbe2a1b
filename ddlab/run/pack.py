"""Executes one pack: trained, or solved in closed form."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Hashable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ddlab.config.identity import identify
from ddlab.config.schema import PackSettings
from ddlab.config.trial import load_leaves, train_settings
from ddlab.devices.local import Divisible, DoesNotFit, fitting, precision, use_compile_cache, use_cpu_cores
from ddlab.errors import DdlabError, Interrupted, StoreError
from ddlab.files import first_line
from ddlab.job.job import COMMAND, Job
from ddlab.job.progress import Outline, Progress
from ddlab.job.recorder import Recorder
from ddlab.job.signals import Signals, listen
from ddlab.run.ahead import Ahead
from ddlab.run.methods import Prepared, method_of
from ddlab.run.sources import Sources
from ddlab.store.kept import Wanted, wanted, wanted_at_end
from ddlab.store.lease import Held, Lease
from ddlab.store.store import Store
from ddlab.training.keep import retrain

LESS_MEMORY = (
    "less is taken by a smaller pack.memory_gib (fewer trials together), model.width, data.num_train or train.batch_size"
)

_ahead = Ahead()


def run_pack(root: str | Path, index: int, settings: PackSettings, following: int | None = None) -> None:
    """Run pack `index` of the sweep stored at `root`, going on from its checkpoint where there is one.

    A pack at which another process is at work is left to it, and a finished one is left as it is.

    Args:
        root: the results directory.
        index: the pack's number.
        settings: of the run.
        following: the pack that this process runs after it; it is made ready meanwhile.

    Raises:
        Interrupted: SIGINT or SIGTERM came; the pack is committed at the eval point it had reached.
        DdlabError: there is too little memory.
        StoreError: the results directory is gone or damaged, or another process has taken over the pack.
    """
    store = Store(root)
    _end_with_command()
    if not store.exists():
        raise StoreError(f"{root}: no stored sweep here")
    with _running, listen(hold=True) as signals:
        try:
            with Lease(store.pack_lease_file(index), _stop, lambda: signals.received is not None) as lease:
                if not store.is_finished(index):
                    _run(store, index, settings, signals, lease, following)
        except Held as holder:
            print(f"ddlab: pack {index} is left to {holder}", file=sys.stderr)


def _run(store: Store, index: int, settings: PackSettings, signals: Signals, lease: Lease, following: int | None) -> None:
    use_cpu_cores(settings.cpu_devices)
    use_compile_cache(settings.compile_cache_mib)
    rows = _planned(store, index)
    with Progress(_outline(store, rows)) as progress:
        recorder, parents = Recorder(store, index, lease, settings), Sources(store, partial(_retrain, store, settings.memory))
        children = store.read_plan(columns=["parents"])["parents"]
        kept = wanted(children, rows["trial_id"], {}), wanted_at_end(children, rows["trial_id"])
        job = Job(store, index, recorder, settings, 0.0, signals, progress, parents, *kept)
        portion = _attempt(job, rows, None, following)
        while portion is not None:
            portion = _attempt(job, rows, portion, following)


def _attempt(job: Job, rows: pd.DataFrame, portion: Divisible | None, following: int | None) -> Divisible | None:
    """Run a pack from what is stored of it; return what to give a device at once instead where its memory does not do.

    Args:
        job: the pack to be run.
        rows: its planned trials.
        portion: what a device is given at once; None: what suits it.
        following: the pack to make ready meanwhile.
    """
    start, memory = time.monotonic(), job.settings.memory
    prepare = partial(_prepare, rows, memory)
    try:
        prepared = _ahead.take(_key(job.store, rows), prepare) if portion is None else prepare(portion)
        job = job._replace(waited=time.monotonic() - start)
        if following is not None and not job.signals.received:
            after = _planned(job.store, following)
            _ahead.start(_key(job.store, after), partial(_prepare, after, memory))
        with precision(prepared.train), fitting(prepared.portion):
            method_of(load_leaves(rows["config"].iloc[0])).run(job, prepared)
    except DoesNotFit as error:
        return _smaller(job.pack, error)
    except MemoryError as error:
        raise DdlabError(
            f"pack {job.pack} does not fit into this machine's memory ({first_line(error)}); {LESS_MEMORY}"
        ) from error
    return None


def _prepare(rows: pd.DataFrame, memory: float, portion: Divisible | None = None) -> Prepared:
    """Make a pack ready to run; rows: of the plan, one for each trial."""
    trials = [load_leaves(config) for config in rows["config"]]
    return method_of(trials[0]).prepare(np.array(rows["trial_id"], object), trials, memory, int(rows["room"].iloc[0]), portion)


def _retrain(store: Store, memory: float, index: int, wanted: dict[int, Wanted]) -> None:
    """Train a pack again, and keep of it what is wanted."""
    rows = _planned(store, index)
    print(f"ddlab: the weights of pack {index} are not kept; it is trained again for those that start from it", file=sys.stderr)
    portion: Divisible | None = None
    while True:
        try:
            prepared: Any = _prepare(rows, memory, portion)
            with precision(prepared.train), fitting(prepared.portion):
                retrain(prepared, Sources(store, partial(_retrain, store, memory)), wanted, store, index)
            return
        except DoesNotFit as error:
            portion = _smaller(index, error)


def _smaller(index: int, error: DoesNotFit) -> Divisible:
    """Return what to give a device at once after it had too little memory, and say so.

    Raises:
        DdlabError: there is nothing left to halve.
    """
    found = error.portion.smaller()
    if found is None:
        raise DdlabError(
            f"pack {index} does not fit into the device's memory, not even in the least pieces ({error}); {LESS_MEMORY}"
        )
    portion, words = found
    print(
        f"ddlab: pack {index} did not fit into the device's memory: going on with {words}; results differ by rounding",
        file=sys.stderr,
    )
    return portion


def _planned(store: Store, index: int) -> pd.DataFrame:
    """Return the planned trials of a pack, each of which is the one that its config says."""
    rows = store.read_plan(pack=index)
    if rows.empty:
        raise StoreError(f"{store.root}: no pack {index} is planned here")
    for known, config in zip(rows["trial_id"], rows["config"], strict=True):
        if identify(load_leaves(config)).trial_id != known:
            raise StoreError(f"{store.plan_file}: damaged (trial {known} is not the one that its config says)")
    return rows


def _key(store: Store, rows: pd.DataFrame) -> Hashable:
    """Return what a prepared pack is known by; its number alone may mean other trials once the plan has changed."""
    return (store.root.resolve(), *rows["trial_id"])


def _outline(store: Store, rows: pd.DataFrame) -> Outline:
    """Return what a pack is within its sweep, by the plan alone: jobs that run side by side number themselves alike."""
    plan = store.read_plan(columns=["pack", "flops"])
    index = rows["pack"].iloc[0]
    leaves = load_leaves(rows["config"].iloc[0])
    before, own = plan["pack"] < index, plan["pack"] == index
    work = plan["flops"] / plan["flops"].sum()
    return Outline(
        pack=int(plan.loc[before, "pack"].nunique()) + 1,
        num_packs=int(plan["pack"].nunique()),
        trials_before=int(before.sum()),
        num_trials=len(plan),
        pack_trials=len(rows),
        steps=train_settings(leaves).steps if method_of(leaves).COUNTS_STEPS else None,
        share_before=float(work[before].sum()),
        share=float(work[own].sum()),
    )


# --- ending ----------------------------------------------------------------------------------------------------------

_running = threading.Lock()
_left_alone = threading.Event()


def _stop() -> None:
    """Stop the pack that runs at its next eval point, as a signal from outside does."""
    os.kill(os.getpid(), signal.SIGTERM)


def _end_with_command() -> None:
    """Make this process end when the command that launched it as its child is gone, such as a worker whose parent was killed.

    The pack that runs is committed first. A job of a cluster is no child of the command, and goes on.

    Raises:
        Interrupted: the command is gone already.
    """
    if str(os.getppid()) == os.environ.get(COMMAND):
        _watch(os.getppid())
    if _left_alone.is_set():
        raise Interrupted(signal.SIGTERM.name)


@cache
def _watch(parent: int) -> None:
    """Begin to wait, in a thread, for the end of this process's parent."""

    def wait() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        _left_alone.set()
        _stop()
        with _running:
            _stop()

    threading.Thread(target=wait, name="ddlab-watch", daemon=True).start()
