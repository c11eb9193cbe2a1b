"""The trials that those of a pack start from: their weights as they are kept, or as they are made again."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
import pandas as pd

from ddlab.errors import StoreError
from ddlab.starts import Kept, Ref
from ddlab.store.kept import Wanted, read_kept, wanted
from ddlab.store.results import DIVERGED, ORPHANED
from ddlab.store.store import Store

# Trains a pack again, without recording, and keeps of it what is wanted at some steps.
Retrain = Callable[[int, dict[int, Wanted]], None]


class Sources:
    """The trials of a stored sweep, as those from which others start (`ddlab.job.parents.Parents`)."""

    def __init__(self, store: Store, retrain: Retrain):
        self._store, self._retrain = store, retrain
        self._read: dict[tuple[int, int, bool], tuple[list[str], dict[str, np.ndarray]]] = {}

    def lives(self, ref: Ref) -> bool:
        """Whether there are weights of a trial at a step: it had not diverged before, and its own parents live."""
        trial = self._outcomes.loc[self._trial(ref)]
        if trial["status"] == DIVERGED:
            return ref.step is not None and ref.step < trial["last_step"]
        return bool(trial["status"] != ORPHANED)

    def kept(self, ref: Ref, optimizer: bool) -> Kept:
        """Return what is kept of a trial that lives at a step; made again where it is lost."""
        trial_id = self._trial(ref)
        outcome = self._outcomes.loc[trial_id]
        step = int(outcome["last_step"] if ref.step is None else min(ref.step, outcome["last_step"]))
        trials, arrays = self._arrays(int(outcome["pack"]), step, trial_id, optimizer)
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
        own = self._outcomes[self._outcomes["pack"] == pack]
        living = own[~own["status"].isin([DIVERGED, ORPHANED])]
        return wanted(self._plan["parents"], own.index, dict(living["last_step"]))

    def _trial(self, ref: Ref) -> str:
        """Return the id of a trial that is done, by the name that others have for it."""
        for column in ("trial_id", "weights_id"):
            found = self._plan.loc[self._plan[column] == ref.trial, "trial_id"]
            if done := [trial for trial in found if trial in self._outcomes.index]:
                return str(done[0])
        raise StoreError(f"{self._store.root}: trial {ref.trial}, from which others start, is not done")

    @cached_property
    def _plan(self) -> pd.DataFrame:
        return self._store.read_plan(columns=["trial_id", "weights_id", "pack", "parents"])

    @cached_property
    def _outcomes(self) -> pd.DataFrame:
        """Status, last step and pack of each trial that is done, by its id."""
        tables = [
            table.select(["trial_id", "status", "last_step"]).to_pandas().assign(pack=pack)
            for pack, table, _ in self._store.outcomes()
        ]
        return pd.concat(tables).set_index("trial_id") if tables else pd.DataFrame(columns=["status", "last_step", "pack"])
