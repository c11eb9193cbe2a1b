"""The weights of trials from which others start: kept while a descendant is to come, and made again where they are lost."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ddlab.store.arrays import read_about, read_arrays, write_arrays
from ddlab.store.sealed import Damaged
from ddlab.store.store import Store


@dataclass
class Wanted:
    """What is wanted of the trials of a pack at a step.

    Attributes:
        trials: their ids.
        optimizer: the state of the optimizer, too.
    """

    trials: set[str] = field(default_factory=set)
    optimizer: bool = False


def wanted(parents: Iterable[str], trials: Iterable[str], last_steps: Mapping[str, int]) -> dict[int, Wanted]:
    """Return at which steps something of the trials of a pack is wanted, and what.

    Args:
        parents: of each trial of the plan, as it has them.
        trials: of the pack.
        last_steps: of those that have ended: where nothing says at which step, that is meant; of others it is not known yet.
    """
    own = set(trials)
    found: dict[int, Wanted] = {}
    for text in set(parents) - {"[]"}:
        for trial, asked, optimizer in json.loads(text):
            step = last_steps.get(trial) if asked is None else min(asked, last_steps.get(trial, asked))
            if trial in own and step is not None:
                at = found.setdefault(int(step), Wanted())
                at.trials.add(trial)
                at.optimizer |= optimizer
    return dict(sorted(found.items()))


def wanted_at_end(parents: Iterable[str], trials: Iterable[str]) -> Wanted:
    """Return what is wanted of the trials of a pack when they end, where nothing says at which step that will be."""
    own, found = set(trials), Wanted()
    for text in set(parents) - {"[]"}:
        for trial, asked, optimizer in json.loads(text):
            if trial in own and asked is None:
                found.trials.add(trial)
                found.optimizer |= optimizer
    return found


def keep(store: Store, pack: int, step: int, trials: list[str], arrays: Mapping[str, np.ndarray]) -> None:
    """Write what is kept of trials of a pack at a step: arrays by name, with a row for each of them."""
    write_arrays(store.kept_directory(pack, step), arrays, {"trials": trials})


def read_kept(store: Store, pack: int, step: int, names: Iterable[str]) -> tuple[list[str], dict[str, np.ndarray]] | None:
    """Return the trials of a pack that are kept at a step, and their arrays; None where nothing whole is there.

    Args:
        store: it.
        pack, step: of them.
        names: what must be among them, beginnings of the names of arrays.
    """
    directory = store.kept_directory(pack, step)
    try:
        trials: Any = read_about(directory)["trials"]
        arrays = read_arrays(directory)
    except (Damaged, OSError, KeyError):
        return None
    return (trials, arrays) if all(any(known.startswith(name) for known in arrays) for name in names) else None


def no_longer_wanted(plan: pd.DataFrame, pending: Iterable[int]) -> set[int]:
    """Return the packs from whose trials none of the pending packs starts."""
    children = plan[plan["pack"].isin(set(pending))]
    named = {trial for text in set(children["parents"]) for trial, *_ in json.loads(text)}
    return set(plan["pack"]) - set(plan.loc[plan["trial_id"].isin(named), "pack"])
