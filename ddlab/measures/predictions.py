"""What a network says at fixed points, from which a report takes bias and variance."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from ddlab.config import Column, leaf
from ddlab.losses import as_real
from ddlab.measures.base import Measure, Snapshot


@dataclass(frozen=True)
class Predictions(Measure):
    """predictions and prediction_targets: outputs and targets of the first test examples, [points K] each.

    Bias and variance over trials need the same test examples in each: `data.target_seed` or `data.seed` pinned.
    """

    points: int = leaf("test examples", low=1, high=10_000)

    def columns(self) -> dict[str, Column]:
        return {"predictions": Column("outputs"), "prediction_targets": Column("targets")}

    def __call__(self, snapshot: Snapshot) -> dict[str, jax.Array]:
        points = min(self.points, snapshot.test.rows)
        inputs, targets = snapshot.test.piece(0, points)
        outputs = snapshot.outputs_fn(snapshot.params, inputs)
        found = {"predictions": outputs, "prediction_targets": as_real(targets, outputs.shape[-1], outputs.dtype)}
        live = snapshot.test.live[:points].reshape([-1] + [1] * (outputs.ndim - 1))  # a trial may have fewer test examples
        return {name: jnp.where(live, values, jnp.nan).ravel() for name, values in found.items()}

    def num_values(self, num_outputs: int) -> int:
        return 2 * self.points * num_outputs
