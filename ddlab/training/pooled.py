"""The data sets of a pack as few arrays: trials say which of them is theirs, and how many of its examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ddlab.data import TRAIN, TRUTH, Dataset
from ddlab.measures.examples import Examples

# The outputs of the teachers of trials for their training examples.
TAUGHT = "train_taught"


@dataclass(frozen=True)
class Pool:
    """The arrays of a pack inside a program.

    Attributes:
        arrays: name -> [D, ...], as `pooled` gives them.
        most: split -> [], the most examples that any trial has of it; only of splits in which trials differ.
    """

    arrays: Mapping[str, jax.Array]
    most: Mapping[str, jax.Array]

    @staticmethod
    def of(arrays: Mapping[str, jax.Array], sizes: Mapping[str, jax.Array]) -> Pool:
        """Return the pool of trials; sizes: split -> [T], examples of it, where trials differ."""
        return Pool(arrays, {split: jnp.max(numbers) for split, numbers in sizes.items()})

    def examples(self, split: str, which: Mapping[str, Any], sizes: Mapping[str, Any]) -> Examples:
        """Return the examples of a split of one trial.

        Args:
            split: its name.
            which: name -> [], which of the arrays is the trial's.
            sizes: split -> [], how many examples the trial has, where trials differ.
        """
        inputs, targets = _names(split)
        rows = self.arrays[targets].shape[1]
        arrays, places = (self.arrays[inputs], self.arrays[targets]), (which[inputs], which[targets])
        return Examples(arrays, places, sizes.get(split, rows), self.most.get(split, rows))

    def labelled(self, which: Mapping[str, Any], sizes: Mapping[str, Any]) -> Examples | None:
        """Return the training examples of one trial as `ddlab.measures.Snapshot.labelled`; None where targets are real."""
        if TRUTH not in self.arrays:
            return None
        return self.examples(TRAIN, which, sizes).paired(jnp.asarray(self.arrays[TRUTH])[which[TRUTH]])

    def number(self, name: str, which: Mapping[str, Any]) -> jax.Array | None:
        """Return a number [] of one trial; None where its data have none of that name."""
        return self.arrays[name][which[name]] if name in self.arrays else None

    def taught(self, which: Mapping[str, Any], rows: Any = slice(None)) -> jax.Array | None:
        """Return what the teacher of one trial gives for some of its training examples, or for all; None: there is none."""
        if TAUGHT not in self.arrays:
            return None
        array = jnp.asarray(self.arrays[TAUGHT])
        return array[0, rows] if len(array) == 1 else array[which[TAUGHT], rows]

    def own(self, which: Mapping[str, Any]) -> dict[str, jax.Array]:
        """Return the arrays that one trial is trained on, where there are several, as a pool of them alone: name -> [1, ...]."""
        names = [name for name in (*_names(TRAIN), TAUGHT) if len(self.arrays.get(name, ())) > 1]
        return {name: self.arrays[name][which[name]][None] for name in names}

    def with_own(self, own: Mapping[str, jax.Array]) -> Pool:
        """Return the pool of one trial, some of whose arrays are its own."""
        return replace(self, arrays={**self.arrays, **own})


def _names(split: str) -> tuple[str, str]:
    """Return the names of the inputs and the targets of a split."""
    return f"{split}_inputs", f"{split}_targets"


TRAIN_INPUTS, _ = _names(TRAIN)


def pooled(datasets: Sequence[Dataset], dtype: str) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the arrays of all data sets and which of them each has.

    Arrays of which one begins with the other are one, such as the inputs of nested training sets.

    Args:
        datasets: of each trial, T of them.
        dtype: of real numbers.

    Returns:
        name -> [D, ...], the D arrays of that name that differ, padded to the longest; name -> [T] int32.
    """
    arrays = {id(dataset): dataset.arrays for dataset in datasets}
    pool: dict[str, np.ndarray] = {}
    which: dict[str, np.ndarray] = {}
    for name in datasets[0].arrays:
        of_trials = [arrays[id(dataset)][name] for dataset in datasets]
        distinct = {id(array): array for array in of_trials}
        kept: list[np.ndarray] = []
        places = {}
        for key, array in sorted(distinct.items(), key=lambda item: -item[1].size):
            found = next((place for place, longer in enumerate(kept) if _begins(longer, array)), len(kept))
            places[key] = found
            if found == len(kept):
                kept.append(array)
        pool[name] = _padded(kept, dtype)
        which[name] = np.array([places[id(array)] for array in of_trials], np.int32)
    return pool, which


def _begins(longer: np.ndarray, array: np.ndarray) -> bool:
    """Whether an array begins with another; two numbers are equal."""
    if array.ndim and not np.array_equal(longer[0], array[0]):
        return False  # found at once, of most
    return np.array_equal(longer[: len(array)] if array.ndim else longer, array)


def _padded(arrays: Sequence[np.ndarray], dtype: str) -> np.ndarray:
    """Return arrays [N, ...] of several lengths as one, [D, most N, ...]."""
    first = arrays[0]  # the longest
    pool = np.empty((len(arrays), *first.shape), dtype if first.dtype.kind == "f" else first.dtype)
    for place, array in enumerate(arrays):
        pool[place] = array[:1] if array.ndim else array  # what is of nobody is as harmless as an example
        if array.ndim:
            pool[place, : len(array)] = array
    return pool
