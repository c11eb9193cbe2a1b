"""From the trials of a pack to one that is ready to be trained: its data loaded, its program compiled."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from ddlab.config.declare import Mark
from ddlab.config.schema import Train
from ddlab.config.trial import Leaves, joined, marked, parse
from ddlab.data.base import Dataset, Spec, joined_spec
from ddlab.data.loader import Loader
from ddlab.devices.layout import Layout, Tiles
from ddlab.devices.local import fitting, precision, working_bytes
from ddlab.job.outcomes import untrained_losses
from ddlab.models.size import size_at
from ddlab.training.begin import has_start, is_masked
from ddlab.training.compiled import Compiled, Known, compile_pack
from ddlab.training.cost import training_cost
from ddlab.training.program import make_program
from ddlab.training.state import Inputs, make_inputs

# The program of the last pack of trials that start from others: those of the next level are alike.
_known: dict[Hashable, Known] = {}

# Their data, likewise: of one loader, unless another pack is made ready at this moment.
_loaders: list[Loader] = []


@dataclass(frozen=True)
class Prepared:
    """A pack that is ready to be trained.

    Attributes:
        trial_ids: [T].
        trials: leaves of each trial.
        train: training settings, the same for all trials but for when they end.
        portion: what a device trains at once.
        checksums: of each trial's data.
        untrained_losses: of each trial, as `ddlab.job.outcomes.Outcomes` takes them.
        compiled: the program and its inputs.
    """

    trial_ids: np.ndarray
    trials: Sequence[Leaves]
    train: Train
    portion: Tiles
    checksums: Sequence[str]
    untrained_losses: Sequence[float]
    compiled: Compiled


def prepare(
    trial_ids: np.ndarray, trials: Sequence[Leaves], memory: float, room: int = 0, portion: Tiles | None = None
) -> Prepared:
    """Load the data of a pack and compile its program.

    Args:
        trial_ids: [T].
        trials: leaves of each trial.
        memory: bytes that the pack may take; it was cut to fit.
        room: trials that its program has room for, if more.
        portion: what a device trains at once; None: what suits it.

    Raises:
        DoesNotFit: a device has too little memory to compile it.
    """
    del memory
    leaves = joined(trials)
    config = parse(leaves)
    train, datasets = config.train, _datasets(trials)
    spec = joined_spec([dataset.spec for dataset in datasets])
    wanted = portion or Tiles(*training_cost(leaves, config, size_at(leaves, spec)).tiling(working_bytes()))
    tile = Layout.of(len(trials), wanted.trials, room).tile
    portion = Tiles(tile, min(wanted.examples, max(spec.sizes.values())))
    with precision(train), fitting(portion):
        inputs, masked = make_inputs(trials, datasets), is_masked(trials)
        key = _key(leaves, inputs, spec, (wanted, max(room, len(trials)), masked))
        if known := _known.get(key):
            compiled = known.with_trials(inputs, len(trials), wanted.trials, room)
        else:
            program = make_program(config, spec, wanted.examples, masked)
            compiled = compile_pack(program, inputs, len(trials), wanted.trials, room)
        if has_start(trials):
            _known.clear()
            _known[key] = compiled.without_inputs()
    checksums = [dataset.checksum for dataset in datasets]
    return Prepared(trial_ids, trials, train, portion, checksums, untrained_losses(trials, datasets), compiled)


def _datasets(trials: Sequence[Leaves]) -> list[Dataset]:
    """Return the data of each trial; what trials that start from others have loaded is there for those of the next level."""
    loader = _loaders.pop() if _loaders else Loader()
    datasets = loader.load(trials)
    if has_start(trials):
        _loaders.append(loader)
    return datasets


def _key(leaves: Leaves, inputs: Inputs, spec: Spec, about: Any) -> Hashable:
    """Return what decides a program: equal for packs that differ in their trials alone.

    Args:
        leaves: that trials are padded to.
        inputs: on the host.
        spec: sizes of the data.
        about: what else.
    """
    sizes = tuple((key, leaves[key]) for key in marked(leaves, Mark.SIZE))
    shapes = [(array.shape, array.dtype) for array in jax.tree.leaves(inputs.shared)]
    own = [(array.shape[1:], array.dtype) for array in jax.tree.leaves(inputs.trial)]
    return (sizes, jax.tree.structure(inputs), tuple(shapes), tuple(own), spec, about)
