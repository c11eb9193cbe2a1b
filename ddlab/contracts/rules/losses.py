"""Rules of losses alone; those of everything that is trained are in `training`."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from ddlab.contracts.rules.arrays import ROUNDING, difference
from ddlab.contracts.subject import Subject
from ddlab.contracts.verdict import Verdict, broken, verdict_of

# Examples that a loss is tried on, and outputs of each.
NUM_EXAMPLES, NUM_OUTPUTS = 5, 3


def _examples(subject: Subject) -> tuple[jax.Array, list[jax.Array]]:
    """Return outputs [B, K], and targets that the loss may have: classes [B], and real numbers [B, K] where it takes them."""
    random = np.random.default_rng(0)
    outputs = jnp.asarray(random.standard_normal((NUM_EXAMPLES, NUM_OUTPUTS)))
    targets = [jnp.asarray(random.integers(NUM_OUTPUTS, size=NUM_EXAMPLES), jnp.int32)]
    if subject.component.REAL_TARGETS:
        targets.append(jnp.asarray(random.standard_normal((NUM_EXAMPLES, NUM_OUTPUTS))))
    return outputs, targets


def is_of_each_example(subject: Subject) -> Verdict:
    """It gives a number for each example, which depends on no other."""
    with jax.enable_x64(True):
        outputs, all_targets = _examples(subject)
        for targets in all_targets:
            together = subject.component(outputs, targets)
            if together.shape != targets.shape[:1]:
                return broken(f"it has shape {together.shape} for {NUM_EXAMPLES} examples")
            alone = jnp.concatenate([subject.component(outputs[k : k + 1], targets[k : k + 1]) for k in range(NUM_EXAMPLES)])
            if problem := difference({"it": np.array(together)}, {"it": np.array(alone)}, ("among others", "alone")):
                return broken(problem)
    return verdict_of("")


def is_that_of_zero_outputs_untrained(subject: Subject) -> Verdict:
    """untrained is its mean where all outputs are zero, by which a trial that has diverged is told."""
    with jax.enable_x64(True):
        outputs, all_targets = _examples(subject)
        for targets in all_targets:
            expected = float(subject.component(jnp.zeros_like(outputs), targets).mean())
            num_classes = NUM_OUTPUTS if jnp.issubdtype(targets.dtype, jnp.integer) else None
            found = subject.component.untrained(np.array(targets), num_classes)
            if not abs(found - expected) <= ROUNDING * abs(expected):
                return broken(f"untrained says {found:.9g}, and it is {expected:.9g}")
    return verdict_of("")
