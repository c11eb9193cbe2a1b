"""Rules of what is solved in closed form: its trials in a problem, alone, and lowered for accelerators."""

from __future__ import annotations

from ddlab.contracts.engine import NotLowered
from ddlab.contracts.rules.arrays import difference, not_finite
from ddlab.contracts.subject import Subject
from ddlab.contracts.verdict import KEPT, Verdict, broken, skipped, verdict_of


def is_finite(subject: Subject) -> Verdict:
    """The metrics of a trial are finite, at the start and of the solution."""
    return verdict_of(not_finite(subject.problem.metrics))


def is_the_same_in_a_problem(subject: Subject) -> Verdict:
    """Solved together with others, wider ones too, a trial is what it is alone, to rounding, at every step."""
    alone, together = (
        {name: array[0, 0] for name, array in solved.metrics.items()} for solved in (subject.problem_alone, subject.problem)
    )
    return verdict_of(difference(alone, together, ("alone", "solved with others")))


def compiles_once(subject: Subject) -> Verdict:
    """One solver serves every value of the traced fields."""
    try:
        same = subject.problem.text == subject.problem_of_other_values.text
    except NotLowered:
        return skipped("cannot be checked: the solver cannot be lowered")
    return verdict_of("" if same else "trials that differ in traced fields only do not have the same solver")


def lowers(subject: Subject) -> Verdict:
    """Its solver lowers for CUDA and TPU, and calls nothing that only a CPU has."""
    try:
        assert subject.problem.text
    except NotLowered as error:
        return broken(str(error))
    return KEPT
