"""Loss and error on the training and the test set."""

from __future__ import annotations

from dataclasses import dataclass

import jax

from ddlab.losses import error
from ddlab.measures.base import Measure, Snapshot


@dataclass(frozen=True)
class Performance(Measure):
    """train_loss, test_loss (the training loss, mean per example) and train_error, test_error (fraction wrong)."""

    def __call__(self, snapshot: Snapshot) -> dict[str, jax.Array]:
        def loss_and_error(outputs: jax.Array, targets: jax.Array) -> tuple[jax.Array, jax.Array]:
            return snapshot.loss_fn(outputs, targets), error(outputs, targets)

        metrics = {}
        for split, data in (("train", snapshot.train), ("test", snapshot.test)):
            metrics[f"{split}_loss"], metrics[f"{split}_error"] = snapshot.mean_fn(loss_and_error, snapshot.params, *data)
        return metrics
