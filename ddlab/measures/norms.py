"""Norms and rates of training."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax

from ddlab.config import Column
from ddlab.measures.base import Measure, Snapshot


@dataclass(frozen=True)
class WeightNorm(Measure):
    """weight_norm: the Euclidean norm of all trainable parameters."""

    def columns(self) -> dict[str, Column]:
        return {"weight_norm": Column("weight norm")}

    def __call__(self, snapshot: Snapshot) -> dict[str, jax.Array]:
        return {"weight_norm": optax.tree.norm(snapshot.params)}


@dataclass(frozen=True)
class GradientNorm(Measure):
    """gradient_norm: the Euclidean norm of the gradient of train_loss on the whole training set.

    It costs a backward pass over the training set at each eval point.
    """

    needs_gradient = True

    def columns(self) -> dict[str, Column]:
        return {"gradient_norm": Column("gradient norm")}

    def __call__(self, snapshot: Snapshot) -> dict[str, jax.Array]:
        return {"gradient_norm": optax.tree.norm(snapshot.gradient)}


@dataclass(frozen=True)
class LearningRate(Measure):
    """learning_rate: the rate of the next update, after schedule and warm-up."""

    def columns(self) -> dict[str, Column]:
        return {"learning_rate": Column("learning rate")}

    def __call__(self, snapshot: Snapshot) -> dict[str, jax.Array]:
        return {"learning_rate": jnp.asarray(snapshot.learning_rate)}
