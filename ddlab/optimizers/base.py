"""What every trained optimizer has: an update rule and a learning rate over time."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import optax

from ddlab.config import Mark, leaf
from ddlab.optimizers.schedules import SCHEDULES, make_schedule


@dataclass(frozen=True)
class Optimizer(abc.ABC):
    """Base of optimizers that train: the fields that all share, of which `schedule` shapes the learning rate over the steps.

    Learning rate, weight decay, momentum and betas are traced: trials that differ in them share one program.

    Class attributes:
        METHOD: how trials of it are run.
    """

    METHOD: ClassVar[str] = "training"

    learning_rate: float = leaf("peak learning rate", Mark.TRACED, above=0)
    weight_decay: float = leaf("weight decay, on all parameters", Mark.TRACED, low=0, off=0.0)
    schedule: str = leaf("learning rate over time", choices=tuple(SCHEDULES))
    warmup_steps: int = leaf("steps of linear warm-up before the schedule's full rate; 0: none", low=0, off=0)
    decay_steps: int = leaf("time scale of inverse_sqrt: rate / sqrt(1 + floor(step / decay_steps))", low=1)

    def learning_rate_at(self, step: jax.Array, num_steps: int) -> Any:
        """Return the learning rate of the update made at `step` (0 for the first)."""
        schedule = make_schedule(self.schedule, num_steps, self.warmup_steps, self.decay_steps)
        return self.learning_rate * schedule(step.astype(jnp.asarray(self.learning_rate).dtype))

    @abc.abstractmethod
    def make(self, learning_rate: Any) -> optax.GradientTransformation:
        """Return the update rule at the given (traced) learning rate; its state must not depend on it."""
