"""Weights of a pack that are kept for trials of others to start from."""

from __future__ import annotations

from collections.abc import Mapping

from ddlab.job.parents import Parents
from ddlab.parameters import named
from ddlab.starts import Kept
from ddlab.store.kept import Wanted, keep
from ddlab.store.store import Store
from ddlab.training.begin import begun
from ddlab.training.prepare import Prepared
from ddlab.training.state import State
from ddlab.training.teach import taught


def keep_of(prepared: Prepared, state: State, step: int, wanted: Wanted, store: Store, pack: int) -> None:
    """Keep what is wanted of a pack at a step, of its state on the host."""
    rows = [row for row, trial_id in enumerate(prepared.trial_ids) if trial_id in wanted.trials]
    fields = [field for field in Kept._fields if field != "optimizer" or wanted.optimizer]
    arrays = {f"{field}.{name}": array[rows] for field in fields for name, array in named(getattr(state.trial, field)).items()}
    keep(store, pack, step, [str(prepared.trial_ids[row]) for row in rows], arrays)


def retrain(prepared: Prepared, parents: Parents, wanted: Mapping[int, Wanted], store: Store, pack: int) -> None:
    """Train a pack again, without measuring it, and keep what is wanted of it: the same weights, bit for bit."""
    prepared = taught(prepared, parents)
    placed = prepared.compiled.place()
    state = begun(prepared.trials, placed, parents)
    for step, what in wanted.items():
        state = placed.advance(state, step)
        keep_of(prepared, placed.to_host(state), step, what, store, pack)
