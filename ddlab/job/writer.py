"""The one writer of a pack: its rows, its parts and its outcome."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ddlab.store.lease import Lease
from ddlab.store.rows import Rows
from ddlab.store.store import Store


class PackWriter:
    """Writes the curves of a pack in parts, and its outcome; before each write it makes sure that the pack is still its own.

    Attributes:
        rows: recorded since the last part.
        num_parts: parts written so far.
    """

    def __init__(self, store: Store, pack: int, lease: Lease):
        self._store, self._pack, self._lease = store, pack, lease
        self.rows = Rows()
        self.num_parts = 0

    def go_on(self, num_parts: int) -> None:
        """Go on behind the first `num_parts` stored parts; whatever else is recorded or stored of the pack is removed."""
        self._lease.check()
        self._store.clear_pack(self._pack, num_parts)
        self.rows, self.num_parts = Rows(), num_parts

    def write_part(self) -> None:
        """Write the rows since the last part, where there are any."""
        self._lease.check()
        if self.rows.columns:
            self._store.write_part(self._pack, self.num_parts, self.rows.take())
            self.num_parts += 1

    def write_outcome(self, columns: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        """Write the outcome of the finished pack: columns [T] and what is known of its run."""
        self._lease.check()
        self._store.write_outcome(self._pack, columns, {**about, "num_parts": self.num_parts})


def count_rows(eval_steps: np.ndarray, last_step: np.ndarray) -> np.ndarray:
    """Return how many rows trials have, [T], whose last eval points are `last_step` [T], one at each of `eval_steps` [E]."""
    return np.searchsorted(eval_steps, last_step, side="right")
