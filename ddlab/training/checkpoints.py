"""A pack's last checkpoint: `state.npz`, and `about.json`, which makes it whole; a new one is whole before the old one goes."""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import jax
import numpy as np

from ddlab.files import DamagedPart, first_line, write_atomically
from ddlab.job.timing import Timing
from ddlab.store.sealed import Damaged, sealed, unsealed
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
        arrays = _named(state)

        def write(file: BinaryIO) -> None:
            np.savez(file, **arrays)

        write_atomically(path / "state.npz", write)
        about = {
            "trials": self._trials,
            "num_evals": num_evals,
            "num_parts": num_parts,
            "timing": timing.sums(),
            "state": _digest(path / "state.npz"),
        }
        write_atomically(path / "about.json", json.dumps(sealed(about)).encode())
        for other in self._directory.glob("eval=*"):
            if other != path:
                shutil.rmtree(other)

    def restore(self, shapes: State) -> Checkpoint | None:
        """Return the last whole checkpoint of these trials, of the given shapes; None where there is none."""
        for about in sorted(self._directory.glob("eval=*/about.json"), reverse=True):
            try:
                return self._read(about, shapes)
            except (Damaged, OSError, ValueError, KeyError, TypeError) as error:
                warnings.warn(f"{about.parent}: damaged, not used ({first_line(error)})", DamagedPart, stacklevel=2)
        return None

    def _read(self, about: Path, shapes: State) -> Checkpoint:
        read = unsealed(json.loads(about.read_text()))
        if read["trials"] != self._trials:
            raise Damaged("it is of other trials")
        if read["state"] != _digest(about.with_name("state.npz")):
            raise Damaged("its checksum differs")
        wanted = _named(shapes)
        with np.load(about.with_name("state.npz")) as stored:
            arrays = dict(stored)
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


def _named(state: State) -> dict[str, Any]:
    """Return the arrays (or shapes) of a state by their path in it."""
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(state)}


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
