"""The data sets of a pack as few arrays: trials say which of them is theirs, and how many of its examples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ddlab.data import Dataset


def pooled(datasets: Sequence[Dataset], dtype: str) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the arrays of all data sets and which of them each has.

    Arrays of which one begins with the other are one, such as the inputs of nested training sets.

    Args:
        datasets: of each trial, T of them.
        dtype: of real numbers.

    Returns:
        name -> [D, ...], the D arrays of that name that differ, padded with zeros to the longest; name -> [T] int32.
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
    return np.array_equal(longer[: len(array)] if array.ndim else longer, array)


def _padded(arrays: Sequence[np.ndarray], dtype: str) -> np.ndarray:
    """Return arrays [N, ...] of several lengths as one, [D, most N, ...]."""
    first = arrays[0]  # the longest
    pool = np.zeros((len(arrays), *first.shape), dtype if first.dtype.kind == "f" else first.dtype)
    for place, array in enumerate(arrays):
        pool[(place, slice(len(array))) if array.ndim else place] = array
    return pool
