"""The one writer of a pack: its rows, its parts and its outcome."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ddlab.config.schema import PackSettings
from ddlab.job.timing import Timing
from ddlab.store.lease import Lease
from ddlab.store.rows import Rows, most_waiting
from ddlab.store.store import Store


class Ended(NamedTuple):
    """What became of the trials of a pack, [T] each.

    Attributes:
        trial_ids: of them.
        status: completed, stopped, diverged or orphaned.
        last_step: the eval point of their last row.
        checksums: of their data.
    """

    trial_ids: np.ndarray
    status: np.ndarray
    last_step: np.ndarray
    checksums: Sequence[str]


class Recorder:
    """Writes the curves of a pack in parts, and its outcome; before each write it makes sure that the pack is still its own.

    Attributes:
        rows: recorded since the last part.
        num_parts: parts written so far.
    """

    def __init__(self, store: Store, pack: int, lease: Lease, settings: PackSettings):
        self._store, self._pack, self._lease, self._settings = store, pack, lease, settings
        self.rows = Rows()
        self.num_parts = 0
        self.begin()

    def begin(self) -> None:
        """Count the time until the next part from now on."""
        self._written = time.monotonic()

    @property
    def part_is_due(self) -> bool:
        """Whether `pack.checkpoint_seconds` have passed since the last part, or many rows wait."""
        is_full = self.rows.num_bytes >= most_waiting(self._settings.memory)
        return is_full or time.monotonic() - self._written >= self._settings.checkpoint_seconds

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
        self.begin()

    def finish(self, ended: Ended, eval_steps: np.ndarray, timing: Timing, about: Mapping[str, Any]) -> None:
        """Write what is left of the rows, and the outcome of the finished pack.

        Args:
            ended: what became of its trials.
            eval_steps: of each of them that went on to the end, [E].
            timing: of all its runs.
            about: what else is known of its run.
        """
        self.write_part()
        num_trials = len(ended.trial_ids)
        columns = {
            "trial_id": list(ended.trial_ids),
            "status": list(ended.status),
            "last_step": ended.last_step,
            "num_rows": np.searchsorted(eval_steps, ended.last_step, side="right"),
            "seconds": np.full(num_trials, timing.run / num_trials),
            "data_checksum": list(ended.checksums),
        }
        self._lease.check()
        self._store.write_outcome(self._pack, columns, {**about, **timing.about(), "num_parts": self.num_parts})
