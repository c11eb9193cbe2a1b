"""Learning-rate schedules: components that say by what the base rate is multiplied at each step."""

from __future__ import annotations

import abc
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from ddlab.config import leaf


@dataclass(frozen=True)
class Schedule(abc.ABC):
    """Base of schedules."""

    @abc.abstractmethod
    def __call__(self, step: jax.Array, num_steps: int) -> jax.Array:
        """Return the multiple of the base rate, [].

        Args:
            step: the updates made before, [], a float.
            num_steps: of the whole training; of one without steps 1.
        """


@dataclass(frozen=True)
class Constant(Schedule):
    """1."""

    def __call__(self, step: jax.Array, num_steps: int) -> jax.Array:
        del num_steps
        return jnp.ones_like(step)


@dataclass(frozen=True)
class Cosine(Schedule):
    """(1 + cos(pi t / steps)) / 2: from 1 to 0 over the whole training (Loshchilov, Hutter 2017)."""

    def __call__(self, step: jax.Array, num_steps: int) -> jax.Array:
        return 0.5 * (1 + jnp.cos(jnp.pi * step / num_steps))


@dataclass(frozen=True)
class InverseSqrt(Schedule):
    """1 / sqrt(1 + floor(t / decay_steps)) (Nakkiran et al. 2020, appendix B)."""

    decay_steps: int = leaf("time scale, in steps", low=1)

    def __call__(self, step: jax.Array, num_steps: int) -> jax.Array:
        del num_steps
        return jax.lax.rsqrt(1.0 + jnp.floor(step / self.decay_steps))
