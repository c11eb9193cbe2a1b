"""Rules of optimizers alone; those of everything that is trained are in `training`."""

from __future__ import annotations

from ddlab.contracts.rules.arrays import difference, named
from ddlab.contracts.subject import Subject
from ddlab.contracts.verdict import Verdict, verdict_of


def has_a_state_of_any_learning_rate(subject: Subject) -> Verdict:
    """What it keeps before the first step does not depend on the learning rate, which a schedule changes."""
    state = named(subject.pack.first.optimizer)
    slow, fast = ({name: array[trial] for name, array in state.items()} for trial in (0, 1))
    one, other = (f"at a rate of {trial['optimizer.learning_rate']:g}" for trial in subject.trials[:2])
    return verdict_of(difference(slow, fast, (one, other), rounding=0))
