"""The trials that those of a pack start from: their weights as they are kept, or as they are made again."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

from ddlab.config.trial import Leaves, load_leaves
from ddlab.errors import StoreError
from ddlab.starts import Kept, Ref
from ddlab.store.kept import Wanted, read_kept, wanted
from ddlab.store.results import DIVERGED, ORPHANED
from ddlab.store.store import Store

# Trains a pack again, without recording, and keeps of it what is wanted at some steps.
Retrain = Callable[[int, dict[int, Wanted]], None]


OUTCOME = ("trial_id", "status", "last_step")


class _Ended(NamedTuple):
    """What became of a trial.

    Attributes:
        pack: its.
        status: of it.
        last_step: the last at which it was measured.
    """

    pack: int
    status: str
    last_step: int


class Sources:
    """The trials of a stored sweep, as those from which others start (`ddlab.job.parents.Parents`)."""

    def __init__(self, store: Store, retrain: Retrain):
        self._store, self._retrain = store, retrain
        self._read_configs: dict[int, dict[str, str]] = {}
        self._read: dict[tuple[int, int, bool], tuple[list[str], dict[str, np.ndarray]]] = {}

    def lives(self, ref: Ref) -> bool:
        """Whether there are weights of a trial at a step: it had not diverged before, and its own parents live."""
        ended = self._ended[self._trial(ref)]
        if ended.status == DIVERGED:
            return ref.step is not None and ref.step < ended.last_step
        return ended.status != ORPHANED

    def leaves(self, ref: Ref) -> Leaves:
        """Return the leaves of a trial that is done."""
        trial_id = self._trial(ref)
        return load_leaves(self._configs(self._ended[trial_id].pack)[trial_id])

    def kept(self, ref: Ref, optimizer: bool) -> Kept:
        """Return what is kept of a trial that lives at a step; made again where it is lost."""
        trial_id = self._trial(ref)
        ended = self._ended[trial_id]
        step = ended.last_step if ref.step is None else min(ref.step, ended.last_step)
        trials, arrays = self._arrays(ended.pack, step, trial_id, optimizer)
        row = trials.index(trial_id)
        fields = {
            field: {name.removeprefix(f"{field}."): array[row] for name, array in arrays.items() if name.startswith(f"{field}.")}
            for field in Kept._fields
        }
        return Kept(**fields)

    def _arrays(self, pack: int, step: int, trial_id: str, optimizer: bool) -> tuple[list[str], dict[str, np.ndarray]]:
        """Return the trials of a pack that are kept at a step, one among them, and their arrays."""
        key = (pack, step, optimizer)
        if key not in self._read or trial_id not in self._read[key][0]:
            names = ("params.", "optimizer.") if optimizer else ("params.",)
            found = read_kept(self._store, pack, step, names)
            if found is None or trial_id not in found[0]:
                self._retrain(pack, self._wanted(pack))
                found = read_kept(self._store, pack, step, names)
            if found is None or trial_id not in found[0]:
                raise StoreError(f"{self._store.kept_directory(pack, step)}: the weights of trial {trial_id} are not there")
            self._read[key] = found
        return self._read[key]

    def _wanted(self, pack: int) -> dict[int, Wanted]:
        """Return all that is wanted of a pack that is done."""
        own = {trial_id: ended for trial_id, ended in self._ended.items() if ended.pack == pack}
        living = {trial_id: ended.last_step for trial_id, ended in own.items() if ended.status not in (DIVERGED, ORPHANED)}
        return wanted(self._plan["parents"], own, living)

    def _trial(self, ref: Ref) -> str:
        """Return the id of a trial that is done, by the name that others have for it.

        A name that stands for several, of equal weights, comes with a step: it is one of which something is kept there, and which
        has gone farthest.
        """
        if ref.trial not in self._named:
            raise StoreError(f"{self._store.root}: trial {ref.trial}, from which others start, is not done")
        steps = self._steps
        return max(
            self._named[ref.trial],
            key=lambda trial: (ref.step in steps[trial], self._ended[trial].last_step, bool(steps[trial])),
        )

    def _configs(self, pack: int) -> dict[str, str]:
        """Return the configs of the trials of a pack."""
        if pack not in self._read_configs:
            rows = self._store.read_plan(pack=pack)
            self._read_configs[pack] = dict(zip(rows["trial_id"], rows["config"], strict=True))
        return self._read_configs[pack]

    @cached_property
    def _plan(self) -> pd.DataFrame:
        return self._store.read_plan(columns=["trial_id", "weights_id", "parents"])

    @cached_property
    def _named(self) -> dict[str, list[str]]:
        """The trials that are done, by both of their names."""
        found: dict[str, list[str]] = defaultdict(list)
        for trial_id, weights_id in zip(self._plan["trial_id"], self._plan["weights_id"], strict=True):
            if trial_id in self._ended:
                found[trial_id].append(trial_id)
                found[weights_id].append(trial_id)
        return found

    @cached_property
    def _steps(self) -> Mapping[str, set[int | None]]:
        """Trial -> the steps at which others start from it."""
        found: dict[str, set[int | None]] = defaultdict(set)
        for text in set(self._plan["parents"]):
            for trial, step, _ in json.loads(text):
                found[trial].add(step)
        return found

    @cached_property
    def _ended(self) -> dict[str, _Ended]:
        """The trials that are done, by their ids."""
        return {
            trial_id: _Ended(pack, status, last_step)
            for pack, table, _ in self._store.outcomes()
            for trial_id, status, last_step in zip(*(table[name].to_pylist() for name in OUTCOME), strict=True)
        }
