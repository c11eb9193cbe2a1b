"""Rows of metrics on their way to the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Rows:
    """Rows recorded since the last commit."""

    columns: dict[str, list[np.ndarray]] = field(default_factory=dict)

    def add(self, trial_ids: np.ndarray, step: int, metrics: Mapping[str, np.ndarray], recorded: np.ndarray) -> None:
        """Add the metrics [T] (or [T, n]) of one eval point, of the trials [T] that record them."""
        rows = {"trial_id": trial_ids, "step": np.full(len(trial_ids), step, np.int64), **metrics}
        for name, values in rows.items():
            self.columns.setdefault(name, []).append(values[recorded])

    def take(self) -> dict[str, np.ndarray]:
        """Return the columns and forget them."""
        columns = {name: np.concatenate(values) for name, values in self.columns.items()}
        self.columns = {}
        return columns
