"""Optimizers: each is a component with `make(learning_rate) -> optax.GradientTransformation`, and a schedule.

Learning rate, weight decay, momentum and betas are traced: trials that differ in them share one program.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ddlab.config import Mark, leaf
from ddlab.schedules import SCHEDULES, make_schedule


@dataclass(frozen=True)
class Optimizer(abc.ABC):
    """Fields that all optimizers share; `schedule` shapes the learning rate over the steps of training."""

    learning_rate: float = leaf("peak learning rate", Mark.TRACED, above=0)
    weight_decay: float = leaf("weight decay, on all parameters", Mark.TRACED, low=0)
    schedule: str = leaf("learning rate over time", choices=tuple(SCHEDULES))
    warmup_steps: int = leaf("steps of linear warm-up before the schedule's full rate; 0: none", low=0)
    decay_steps: int = leaf("time scale of inverse_sqrt: rate / sqrt(1 + floor(step / decay_steps))", low=1)

    def learning_rate_at(self, step: jax.Array, num_steps: int) -> Any:
        """Return the learning rate of the update made at `step` (0 for the first)."""
        schedule = make_schedule(self.schedule, num_steps, self.warmup_steps, self.decay_steps)
        return self.learning_rate * schedule(step.astype(jnp.asarray(self.learning_rate).dtype))

    @abc.abstractmethod
    def make(self, learning_rate: Any) -> optax.GradientTransformation:
        """Return the update rule at the given (traced) learning rate; its state must not depend on it."""


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent, v <- momentum v + (g + weight_decay w), w <- w - lr v; as in PyTorch."""

    momentum: float = leaf("momentum", Mark.TRACED, low=0, high=1)
    nesterov: bool = leaf("Nesterov momentum")

    def make(self, learning_rate: Any) -> optax.GradientTransformation:
        return optax.chain(
            optax.add_decayed_weights(self.weight_decay),
            optax.trace(decay=self.momentum, nesterov=self.nesterov),
            optax.scale_by_learning_rate(learning_rate),
        )


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam (Kingma, Ba 2015); weight decay is added to the gradient (L2), as in PyTorch's Adam."""

    b1: float = leaf("decay of the mean of gradients", Mark.TRACED, low=0, below=1)
    b2: float = leaf("decay of the mean of squared gradients", Mark.TRACED, low=0, below=1)
    eps: float = leaf("added to the root of the second moment", Mark.TRACED, low=0)

    def make(self, learning_rate: Any) -> optax.GradientTransformation:
        return optax.chain(
            optax.add_decayed_weights(self.weight_decay),
            optax.scale_by_adam(self.b1, self.b2, self.eps),
            optax.scale_by_learning_rate(learning_rate),
        )


@dataclass(frozen=True)
class AdamW(Adam):
    """AdamW (Loshchilov, Hutter 2019): decoupled weight decay, w <- w - lr (adam(g) + weight_decay w)."""

    def make(self, learning_rate: Any) -> optax.GradientTransformation:
        return optax.chain(
            optax.scale_by_adam(self.b1, self.b2, self.eps),
            optax.add_decayed_weights(self.weight_decay),
            optax.scale_by_learning_rate(learning_rate),
        )
