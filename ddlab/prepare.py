"""From a planned pack to one that is ready to run: its data loaded, its program compiled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from ddlab.config import Leaves, Train, build, load_leaves, train_settings, width_key
from ddlab.data import Dataset
from ddlab.devices import Compiled, compile_pack, working_bytes
from ddlab.models import size_of
from ddlab.plan import tiling
from ddlab.store import Store
from ddlab.train import make_inputs, make_program


@dataclass(frozen=True)
class Prepared:
    """A pack that is ready to run.

    Attributes:
        trial_ids: [T].
        train: training settings, the same for all trials.
        checksums: of each trial's data.
        compiled: the program and its inputs.
    """

    trial_ids: np.ndarray
    train: Train
    checksums: Sequence[str]
    compiled: Compiled


@contextmanager
def precision(train: Train) -> Iterator[None]:
    """The context in which a pack is traced and run; JAX keeps it for each thread."""
    with jax.enable_x64(train.dtype == "float64"), jax.default_matmul_precision(train.matmul_precision):
        yield


def prepare_pack(store: Store, index: int) -> Prepared:
    """Load the data of a pack and compile its program."""
    rows = store.read_plan(pack=index)
    trials = [load_leaves(config) for config in rows["config"]]
    train = train_settings(trials[0])
    width = width_key(trials[0])
    widest = max(trials, key=lambda leaves: leaves[width]) if width else trials[0]
    datasets = load_datasets(trials)
    with precision(train):
        tile, chunk = tiling(size_of(build(widest, "model"), datasets[0].spec), train, working_bytes())
        program = make_program(widest, datasets[0], chunk)
        compiled = compile_pack(program, make_inputs(trials, datasets), len(trials), tile)
    checksums = {id(dataset): dataset.checksum for dataset in datasets}
    return Prepared(np.array(rows["trial_id"], object), train, [checksums[id(dataset)] for dataset in datasets], compiled)


def load_datasets(trials: list[Leaves]) -> list[Dataset]:
    """Return each trial's data set; equal configs share one object."""
    loaded: dict[Any, Dataset] = {}
    datasets = []
    for leaves in trials:
        source = build(leaves, "data")
        key = repr(sorted((key, value) for key, value in leaves.items() if key.startswith("data.")))
        if key not in loaded:
            loaded[key] = source.load()
        datasets.append(loaded[key])
    return datasets
