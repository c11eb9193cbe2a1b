"""What becomes of wrong labels: how many of them are memorised, and how many answered with the right one."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from ddlab.config import Column
from ddlab.errors import ConfigError
from ddlab.measures.base import Measure, Snapshot


@dataclass(frozen=True)
class Memorised(Measure):
    """clean_train_error: the error on the training examples whose label is right, which noise may have redrawn.

    memorised, unlearned: of the training examples whose label is wrong, the share that is answered with that label, and the share
    that is answered rightly all the same; nan where no label is wrong.
    """

    def columns(self) -> dict[str, Column]:
        return {
            "clean_train_error": Column("error on right training labels"),
            "memorised": Column("wrong labels memorised"),
            "unlearned": Column("wrong labels answered rightly"),
        }

    def __call__(self, snapshot: Snapshot) -> dict[str, jax.Array]:
        if snapshot.labelled is None:
            raise ConfigError("measures: memorised are wrong labels of classes; the data have real targets")

        def shares(outputs: jax.Array, targets: jax.Array) -> dict[str, jax.Array]:
            label, truth = targets[..., 0], targets[..., 1]
            answer, is_right = jnp.argmax(outputs, axis=-1).astype(label.dtype), label == truth
            found = {
                "right": is_right,
                "right_missed": is_right & (answer != truth),
                "wrong": ~is_right,
                "wrong_learned": ~is_right & (answer == label),
                "wrong_answered": ~is_right & (answer == truth),
            }
            return {name: values.reshape(len(values), -1).mean(axis=1, dtype=outputs.dtype) for name, values in found.items()}

        share = snapshot.mean_fn(shares, snapshot.params, snapshot.labelled)
        return {
            "clean_train_error": share["right_missed"] / share["right"],
            "memorised": share["wrong_learned"] / share["wrong"],
            "unlearned": share["wrong_answered"] / share["wrong"],
        }
