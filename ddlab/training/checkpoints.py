"""A pack's last checkpoint; a new one is whole before the old one goes."""

from __future__ import annotations

import hashlib
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax

from ddlab.files import DamagedPart, first_line
from ddlab.job.timing import Timing
from ddlab.parameters import named
from ddlab.store.arrays import ABOUT, read_about, read_arrays, write_arrays
from ddlab.store.sealed import Damaged
from ddlab.training.state import State


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
    """The checkpoints of one pack, below one directory; those of other trials are not taken."""

    def __init__(self, directory: Path, trial_ids: Sequence[str]):
        self._directory = directory
        self._trials = hashlib.sha256(" ".join(trial_ids).encode()).hexdigest()

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, then remove the one before."""
        state, num_evals, num_parts, timing = checkpoint
        path = self._directory / f"eval={num_evals:05d}"
        about = {"trials": self._trials, "num_evals": num_evals, "num_parts": num_parts, "timing": timing.sums()}
        write_arrays(path, named(state), about)
        for other in self._directory.glob("eval=*"):
            if other != path:
                shutil.rmtree(other)

    def restore(self, shapes: State) -> Checkpoint | None:
        """Return the last whole checkpoint of these trials, of the given shapes; None where there is none."""
        for about in sorted(self._directory.glob(f"eval=*/{ABOUT}"), reverse=True):
            try:
                return self._read(about.parent, shapes)
            except (Damaged, OSError, ValueError, KeyError, TypeError) as error:
                warnings.warn(f"{about.parent}: damaged, not used ({first_line(error)})", DamagedPart, stacklevel=2)
        return None

    def _read(self, path: Path, shapes: State) -> Checkpoint:
        read = read_about(path)
        if read["trials"] != self._trials:
            raise Damaged("it is of other trials")
        wanted, arrays = named(shapes), read_arrays(path)
        if {name: (array.shape, array.dtype) for name, array in arrays.items()} != {
            name: (shape.shape, shape.dtype) for name, shape in wanted.items()
        }:
            raise Damaged("its arrays are of another program")
        state = jax.tree.unflatten(jax.tree.structure(shapes), [arrays[name] for name in wanted])
        return Checkpoint(state, read["num_evals"], read["num_parts"], Timing(**read["timing"]))

    def remove(self) -> None:
        """Remove every checkpoint."""
        if self._directory.exists():
            shutil.rmtree(self._directory)
