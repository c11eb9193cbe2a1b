"""Learning-rate schedules as multipliers of the base rate; the step, a float, counts the updates before."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

Schedule = Callable[[jax.Array], jax.Array]


def constant(_steps: int, _decay_steps: int) -> Schedule:
    """1."""
    return lambda step: jnp.ones_like(step)


def cosine(steps: int, _decay_steps: int) -> Schedule:
    """(1 + cos(pi t / steps)) / 2: from 1 to 0 over the whole training (Loshchilov, Hutter 2017)."""
    return lambda step: 0.5 * (1 + jnp.cos(jnp.pi * step / steps))


def inverse_sqrt(_steps: int, decay_steps: int) -> Schedule:
    """1 / sqrt(1 + floor(t / decay_steps)) (Nakkiran et al. 2020, appendix B)."""
    return lambda step: jax.lax.rsqrt(1.0 + jnp.floor(step / decay_steps))


SCHEDULES: dict[str, Callable[[int, int], Schedule]] = {
    "constant": constant,
    "cosine": cosine,
    "inverse_sqrt": inverse_sqrt,
}


def make_schedule(name: str, steps: int, warmup_steps: int, decay_steps: int) -> Schedule:
    """Return the schedule `name`, times a linear warm-up (t + 1) / warmup_steps over the first `warmup_steps` updates."""
    schedule = SCHEDULES[name](steps, decay_steps)
    if warmup_steps == 0:
        return schedule
    return lambda step: jnp.minimum(1.0, (step + 1) / warmup_steps) * schedule(step)
