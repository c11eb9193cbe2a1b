"""Optimizers in closed form, for models that are linear in their parameters: spectral filters.

With the singular value decomposition X / sqrt(N) = U diag(sqrt(mu)) V' of the training features, the solution started at w0 and
stopped at some step is, along each right singular vector and in their complement (mu = 0),

    learned * (least squares) + kept * (w0),      learned = curvature / (curvature + weight_decay) * (1 - kept),

so that a filter is one function: how much of the start is kept (Ali, Kolter, Tibshirani 2019; Advani, Saxe, Sompolinsky 2020).
`weight_decay` is the penalty; without it the complement keeps w0, and the limit from w0 = 0 is the solution of least norm.
"""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp

from ddlab.config import Mark, leaf


@dataclass(frozen=True)
class SpectralFilter(abc.ABC):
    """Base of closed-form optimizers.

    Class attributes:
        METHOD: how trials of it are run.
    """

    METHOD: ClassVar[str] = "solving"

    weight_decay: float = leaf("penalty", Mark.TRACED, low=0, off=0.0)
    cutoff: float = leaf(
        "modes whose singular value is below this fraction of the largest are not learned", Mark.TRACED, low=0, high=1, off=0.0
    )

    def learned_and_kept(self, eigenvalues: jax.Array, num_outputs: int, step: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the learned share and the kept share of each mode.

        Args:
            eigenvalues: mu of X'X / N, [r], at least 0.
            num_outputs: K, over which the training loss is averaged.
            step: [] integer.
        """
        curvature = self.curvature(eigenvalues, num_outputs)
        rate = curvature + self.weight_decay
        kept = jnp.where(step == 0, jnp.ones_like(rate), self.kept(rate, step.astype(rate.dtype)))
        return jnp.where(rate > 0, curvature / jnp.where(rate > 0, rate, 1), 0) * (1 - kept), kept

    def curvature(self, eigenvalues: jax.Array, num_outputs: int) -> jax.Array:
        """Return the second derivative of the training loss, a mean over K outputs, along each mode."""
        return 2 / num_outputs * eigenvalues

    @abc.abstractmethod
    def kept(self, rate: jax.Array, step: jax.Array) -> jax.Array:
        """Return the share of the start that is left after `step` >= 1 steps, [r]; rate: curvature + weight_decay, [r]."""


@dataclass(frozen=True)
class Ridge(SpectralFilter):
    """Ridge regression: argmin ||y - X w||^2 / N + weight_decay ||w||^2; without penalty least squares, as near to w0 as can be.

    Step 0 is the start, every later step the solution.
    """

    learning_rate: ClassVar[float] = math.nan

    def curvature(self, eigenvalues: jax.Array, num_outputs: int) -> jax.Array:
        del num_outputs  # the penalty is that of a sum over outputs
        return eigenvalues

    def kept(self, rate: jax.Array, step: jax.Array) -> jax.Array:
        return jnp.where(rate > 0, jnp.zeros_like(step), jnp.ones_like(step))


@dataclass(frozen=True)
class GradientFlow(SpectralFilter):
    """Gradient flow on the training loss with weight decay, at time t = learning_rate * step."""

    learning_rate: float = leaf("time of one step", Mark.TRACED, above=0)

    def kept(self, rate: jax.Array, step: jax.Array) -> jax.Array:
        return jnp.exp(-self.learning_rate * step * rate)


@dataclass(frozen=True)
class GradientDescent(SpectralFilter):
    """Full-batch gradient descent on the training loss: exactly what sgd without momentum does."""

    learning_rate: float = leaf("learning rate", Mark.TRACED, above=0)

    def kept(self, rate: jax.Array, step: jax.Array) -> jax.Array:
        return jnp.power(1 - self.learning_rate * rate, step)
