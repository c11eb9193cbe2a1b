"""Rows of metrics on their way to the store."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

# Bytes of rows that wait at most for a commit, and what share of the memory of a pack: a larger part would be read no faster.
MOST_WAITING, WAITING_SHARE = 2**26, 1 / 16


def most_waiting(memory: float) -> float:
    """Return the bytes of rows that may wait on the host; memory: bytes that the pack may take."""
    return min(MOST_WAITING, WAITING_SHARE * memory)


@dataclass
class Rows:
    """Rows recorded since the last commit.

    Attributes:
        num_bytes: of the arrays that hold them.
    """

    columns: dict[str, list[np.ndarray]] = field(default_factory=dict)
    num_bytes: int = 0

    def add(self, trial_ids: np.ndarray, step: Any, metrics: Mapping[str, np.ndarray], recorded: np.ndarray) -> None:
        """Add the metrics of the trials that record them.

        Args:
            trial_ids: broadcasts to the shape of `recorded`.
            step: of the eval points, likewise.
            metrics: name -> array of the shape of `recorded`, or with one axis more.
            recorded: bool, [T] at one eval point or [E, T] at several.
        """
        keys = {"trial_id": trial_ids, "step": np.asarray(step, np.int64)}
        rows = {name: np.broadcast_to(values, recorded.shape) for name, values in keys.items()}
        for name, values in {**rows, **metrics}.items():
            taken = values[recorded]
            self.columns.setdefault(name, []).append(taken)
            self.num_bytes += sys.getsizeof(taken)

    def take(self) -> dict[str, np.ndarray]:
        """Return the columns and forget them, one by one: both forms of all rows never lie in memory together."""
        columns = {name: np.concatenate(self.columns.pop(name)) for name in list(self.columns)}
        self.num_bytes = 0
        return columns
