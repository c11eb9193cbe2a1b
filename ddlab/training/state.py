"""What training changes of a pack, and what it reads.

Shapes: T trials, D data sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ddlab.config.schema import Science
from ddlab.config.trial import Leaves, train_settings
from ddlab.data import TRAIN, Dataset
from ddlab.devices.stacked import stacked
from ddlab.streams import stream
from ddlab.training.batches import Grid
from ddlab.training.pooled import TAUGHT, TRAIN_INPUTS, pooled

NOT_BEGUN = -1

# The random streams of a trial, and the leaf whose seed each takes.
STREAMS = {"init": "init_seed", "batches": "batch_seed", "training": "seed"}


class TrialState(NamedTuple):
    """What training changes of each trial, and what it keeps of it.

    Attributes:
        params: pytree of [T, ...], trainable parameters.
        masks: pytree of [T, ...] bool like them, which of them live, the others stay 0; None: all live.
        constants: pytree of [T, ...], untrained numbers of the networks.
        moving: pytree of [T, ...], batch statistics of the networks.
        optimizer: pytree of [T, ...], optimizer state.
        path: `every` of measures along the path -> parameters and batch statistics at their eval points, pytree of
            [T, points, ...].
        before: pytree of [T, ...], the parameters that were evaluated at the last eval point; None: no measure reads them.
    """

    params: Any
    masks: Any
    constants: Any
    moving: Any
    optimizer: Any
    path: Any
    before: Any = None


class State(NamedTuple):
    """Everything that training changes.

    Attributes:
        step: [] int32, updates made; `NOT_BEGUN` before initialisation.
        trial: with the trial axis.
    """

    step: Any
    trial: TrialState


class TrialInputs(NamedTuple):
    """What training reads of each trial.

    Attributes:
        config: of each trial, its numbers [T].
        keys: stream -> [T, 2] uint32, each trial's key of its random streams.
        which: name -> [T] int32, which of the arrays of that name is the trial's.
        sizes: split -> [T] int32, examples of it; only of splits in which trials differ.
        grid: numbers [T] uint32 of the training sets; None where all have as many examples.
    """

    config: Science
    keys: dict[str, Any]
    which: dict[str, Any]
    sizes: dict[str, Any]
    grid: Grid | None


class Inputs(NamedTuple):
    """Everything that training reads and never changes.

    Attributes:
        shared: name -> [D, ...], the D arrays of that name that differ among the data sets, padded to the longest.
        trial: with the trial axis.
    """

    shared: dict[str, Any]
    trial: TrialInputs


def drawn(leaves: Leaves, name: str) -> str:
    """Return the random stream of a trial that stands for one of `STREAMS`: of its initial weights there are several draws."""
    return f"{name} {leaves['start.draw']}" if name == "init" and leaves["start.draw"] else name


def make_inputs(trials: Sequence[Leaves], datasets: Sequence[Dataset]) -> Inputs:
    """Return the arrays of a pack, on the host; what teachers give is 0 as yet (`ddlab.training.teach`).

    Args:
        trials: leaves of each trial.
        datasets: data set of each trial; equal arrays among them are kept once.
    """
    dtype = train_settings(trials[0]).storage_dtype
    keys = {name: np.stack([stream(leaves[seed], drawn(leaves, name)) for leaves in trials]) for name, seed in STREAMS.items()}
    shared, which = pooled(datasets, dtype)
    counts = {split: [dataset.splits[split].num for dataset in datasets] for split in datasets[0].splits}
    sizes = {split: np.array(numbers, np.int32) for split, numbers in counts.items() if len(set(numbers)) > 1}
    if (taught := _taught(trials, which[TRAIN_INPUTS])) is not None:
        which[TAUGHT] = taught
        shared[TAUGHT] = np.zeros((taught.max() + 1, max(counts[TRAIN]), *datasets[0].spec.output_shape), dtype)
    grids = [Grid.of(num) for num in counts[TRAIN]] if TRAIN in sizes else []
    grid = Grid(*np.array(grids, np.uint32).T) if grids else None
    return Inputs(shared, TrialInputs(stacked(trials, dtype), keys, which, sizes, grid))


def _taught(trials: Sequence[Leaves], inputs: np.ndarray) -> np.ndarray | None:
    """Return which teacher's outputs each trial learns, [T] int32; None: no trial has one; inputs: which it learns from, [T]."""
    key = "train.teacher.of"
    if key not in trials[0]:
        return None
    learned = [(leaves[key], leaves["train.teacher.step"], which) for leaves, which in zip(trials, inputs, strict=True)]
    places = {pair: place for place, pair in enumerate(dict.fromkeys(learned))}
    return np.array([places[pair] for pair in learned], np.int32)
