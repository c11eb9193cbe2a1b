"""Another trial whose outputs a network learns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ddlab.config import Mark, leaf
from ddlab.config.declare import trial_leaf
from ddlab.errors import ConfigError
from ddlab.starts.base import Ref


@dataclass(frozen=True)
class Teacher:
    """A trial whose outputs for the training inputs are learned beside the labels (Hinton, Vinyals, Dean 2015, section 2).

    An example's loss is (1 - weight) L + weight T^2 KL(softmax(t / T) || softmax(f / T)): L the training loss on its label, f the
    outputs, t those of the teacher, T the temperature. Metrics are of L alone.
    """

    of: str = trial_leaf("the trial")
    step: int | None = leaf("at which its outputs are taken; null: its last", Mark.HOST, low=0)
    temperature: float = leaf("by which the outputs are divided before the softmax", Mark.TRACED, above=0)
    weight: float = leaf("of what the teacher says, against the labels", Mark.TRACED, low=0, high=1)

    def check(self) -> None:
        if not self.of:
            raise ConfigError("train.teacher.of: must name a stage")

    def refs(self) -> list[Ref]:
        """Return the trial that it takes from."""
        return [Ref(self.of, self.step)]

    def __call__(self, losses: jax.Array, outputs: jax.Array, taught: Any) -> jax.Array:
        """Return what training makes small, [B].

        Args:
            losses: on the labels, [B].
            outputs: [B, ..., K].
            taught: the outputs of the teacher, likewise.
        """
        wanted, found = (jax.nn.log_softmax(logits / self.temperature) for logits in (taught, outputs))
        divergence = jnp.sum(jnp.exp(wanted) * (wanted - found), axis=-1)
        divergence = jnp.mean(divergence, axis=tuple(range(1, divergence.ndim)))
        return (1 - self.weight) * losses + self.weight * jnp.square(self.temperature) * divergence
