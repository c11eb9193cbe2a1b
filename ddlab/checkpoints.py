"""The last checkpoint of a pack, by orbax; a new one is complete before the old one goes."""

from __future__ import annotations

import json
import shutil
import warnings
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from ddlab.files import DamagedPart, first_line, write_atomically
from ddlab.timing import Timing
from ddlab.train import State


class Checkpoint(NamedTuple):
    """What a pack goes on from.

    Attributes:
        state: arrays on the host.
        num_evals: eval points recorded.
        num_parts: parts of the curves written.
        timing: of the pack so far.
    """

    state: State
    num_evals: int
    num_parts: int
    timing: Timing


class Checkpoints:
    """The checkpoints of one pack, below one directory."""

    def __init__(self, directory: Path):
        self._directory = directory.absolute()

    @cached_property
    def _checkpointer(self) -> Any:
        import orbax.checkpoint  # takes most of a second, which short packs never need

        return orbax.checkpoint.StandardCheckpointer()

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, then remove the one before."""
        state, num_evals, num_parts, timing = checkpoint
        path = self._directory / f"eval={num_evals:05d}"
        arrays = {f"{k:04d}": leaf for k, leaf in enumerate(jax.tree.leaves(state)) if leaf.size}
        self._checkpointer.save(path / "state", arrays, force=True)
        self._checkpointer.wait_until_finished()
        about = {"num_evals": num_evals, "num_parts": num_parts, "timing": timing.sums()}
        write_atomically(path / "about.json", json.dumps(about).encode())
        for other in self._directory.glob("eval=*"):
            if other != path:
                shutil.rmtree(other)

    def restore(self, shapes: State) -> Checkpoint | None:
        """Return the last whole checkpoint, of the given shapes; None where there is none."""
        for about in sorted(self._directory.glob("eval=*/about.json"), reverse=True):
            try:
                return self._read(about, shapes)
            except Exception as error:  # whatever orbax raises on damage: the pack begins again
                warnings.warn(f"{about.parent}: damaged, not used ({first_line(error)})", DamagedPart, stacklevel=2)
        return None

    def _read(self, about: Path, shapes: State) -> Checkpoint:
        leaves, tree = jax.tree.flatten(shapes)
        zeros = {f"{k:04d}": np.zeros(leaf.shape, leaf.dtype) for k, leaf in enumerate(leaves)}
        wanted = {key: array for key, array in zeros.items() if array.size}  # orbax stores no empty arrays
        arrays = zeros | self._checkpointer.restore(about.parent / "state", wanted)
        read = json.loads(about.read_text())
        state = jax.tree.unflatten(tree, list(arrays.values()))
        return Checkpoint(state, read["num_evals"], read["num_parts"], Timing(**read["timing"]))

    def remove(self) -> None:
        """Remove every checkpoint."""
        if self._directory.exists():
            shutil.rmtree(self._directory)
