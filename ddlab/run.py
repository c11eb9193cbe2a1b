"""Executes one pack: trained, or solved in closed form."""

from __future__ import annotations

import time
from collections.abc import Hashable
from functools import partial
from pathlib import Path

from ddlab.ahead import Ahead
from ddlab.config import PackSettings, load_leaves, train_settings
from ddlab.devices import use_compile_cache, use_cpu_cores
from ddlab.job import Job, Signals
from ddlab.plan import is_exact
from ddlab.prepare import Prepared, precision, prepare_pack
from ddlab.progress import Outline, Progress
from ddlab.solving import SolvingRun
from ddlab.store import Store
from ddlab.training import TrainingRun

_ahead = Ahead()


def run_pack(root: str | Path, index: int, settings: PackSettings) -> None:
    """Train pack `index` of the sweep stored at `root`, going on from its checkpoint where there is one.

    Raises:
        Interrupted: SIGINT or SIGTERM came; the pack is committed at the eval point it had reached.
    """
    store = Store(root)
    use_cpu_cores(settings.cpu_devices)
    use_compile_cache(settings.compile_cache_mib)
    with Signals() as signals, Progress(_outline(store, index)) as progress:
        start = time.monotonic()
        prepared = _ahead.take(_key(store, index), partial(prepare_pack, store, index))
        job = Job(store, index, settings, time.monotonic() - start, signals, progress)
        if settings.next is not None and not signals.received:
            _ahead.start(_key(store, settings.next), partial(prepare_pack, store, settings.next))
        with precision(prepared.train):
            run = TrainingRun(job, prepared) if isinstance(prepared, Prepared) else SolvingRun(job, prepared)
            run.run()


def _key(store: Store, index: int) -> Hashable:
    """Return what a prepared pack is known by; its number alone may mean other trials once the plan has changed."""
    return (store.root.resolve(), *store.read_plan(pack=index, columns=["trial_id"])["trial_id"])


def _outline(store: Store, index: int) -> Outline:
    plan = store.read_plan(columns=["pack", "flops"])
    leaves = load_leaves(store.read_plan(pack=index, columns=["config"])["config"].iloc[0])
    finished = plan["pack"].isin(store.finished_packs())
    work = plan["flops"] / plan["flops"].sum()
    own = plan["pack"] == index
    return Outline(
        pack=int(plan.loc[finished, "pack"].nunique()) + 1,
        num_packs=int(plan["pack"].nunique()),
        trials_before=int(finished.sum()),
        num_trials=len(plan),
        pack_trials=int(own.sum()),
        steps=None if is_exact(leaves) else train_settings(leaves).steps,
        share_before=float(work[finished].sum()),
        share=float(work[own].sum()),
    )
