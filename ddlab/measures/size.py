"""How much is recorded of a trial."""

from __future__ import annotations

from ddlab.config.schema import Science
from ddlab.measures.base import AlongPath

# Losses and errors that every trial has, at most: real targets have no error, but their excess risk.
NUM_LOSSES = 4


def row_bytes(config: Science, num_outputs: int) -> float:
    """Return the bytes of the metrics of a trial at one eval point: losses, errors and what the measures give."""
    values = [
        measure.num_values(num_outputs) * (config.train.most_evals if isinstance(measure, AlongPath) else 1)
        for measure in config.measures.values()
    ]
    return config.train.itemsize * float(NUM_LOSSES + sum(values))
