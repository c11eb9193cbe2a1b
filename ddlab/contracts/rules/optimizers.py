"""Rules of optimizers and their schedules alone; those of everything that is trained are in `training`."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from ddlab.config.trial import parse
from ddlab.contracts.rules.arrays import difference
from ddlab.contracts.subject import Subject
from ddlab.contracts.verdict import Verdict, broken, verdict_of
from ddlab.parameters import named


def has_a_state_of_any_learning_rate(subject: Subject) -> Verdict:
    """What it keeps before the first step does not depend on the learning rate, which a schedule changes."""
    state = named(subject.pack.first.optimizer)
    slow, fast = ({name: array[trial] for name, array in state.items()} for trial in (0, 1))
    one, other = (f"at a rate of {trial['optimizer.learning_rate']:g}" for trial in subject.trials[:2])
    return verdict_of(difference(slow, fast, (one, other), rounding=0))


def has_rates_that_are_none_below_zero(subject: Subject) -> Verdict:
    """The multiple of the learning rate is one number at every step, finite and not below zero."""
    num_steps = parse(subject.leaves).train.steps
    factors = [np.asarray(subject.component(jnp.asarray(float(step)), num_steps)) for step in range(num_steps)]
    if len(shapes := {factor.shape for factor in factors} - {()}):
        return broken(f"it gives an array of shape {min(shapes)}")
    step = next((step for step, factor in enumerate(factors) if not 0 <= factor < np.inf), None)
    return verdict_of("" if step is None else f"it is {factors[step]} at step {step}")
