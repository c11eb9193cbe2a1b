"""Rules of measures, in trials that are trained and in those that are solved."""

from __future__ import annotations

import numpy as np

from ddlab.config.trial import parse
from ddlab.contracts.rules.arrays import Arrays, difference, not_finite
from ddlab.contracts.subject import MEASURE, Subject
from ddlab.contracts.verdict import Verdict, broken, verdict_of

# What every trial records.
LOSSES = ("train_loss", "test_loss", "train_error", "test_error", "excess_risk")


def _own(metrics: Arrays) -> dict[str, np.ndarray]:
    return {name: array for name, array in metrics.items() if name not in LOSSES}


def _alone(subject: Subject) -> dict[str, np.ndarray]:
    """Return what the measures give of the subject's trial by itself, name -> [E] (or [E, n])."""
    if subject.kind == MEASURE:
        return {name: array[:, 0] for name, array in _own(subject.alone.metrics).items()}
    return {name: array[0, 0] for name, array in _own(subject.problem_alone.metrics).items()}


def _together(subject: Subject) -> dict[str, np.ndarray]:
    """Return what the measures give of the subject's trial among others, name -> [E] (or [E, n])."""
    if subject.kind == MEASURE:
        return {name: array[:, 0] for name, array in _own(subject.pack.metrics).items()}
    return {name: array[0, 0] for name, array in _own(subject.problem.metrics).items()}


def begins_finite(subject: Subject) -> Verdict:
    """It is finite before training, or, if it is of what has changed, at the next eval point."""
    measures = parse(subject.leaves).measures.values()
    first = {name: int(measure.needs_before) for measure in measures for name in measure.columns()}
    return verdict_of(not_finite({name: array[first.get(name, 0)] for name, array in _together(subject).items()}))


def counts_its_values(subject: Subject) -> Verdict:
    """num_values is how many numbers it gives at an eval point, by which the planner reckons memory."""
    given = sum(array[0].size for array in _together(subject).values())
    return verdict_of(f"num_values says {subject.num_values}, and it gives {given}" if subject.num_values != given else "")


def is_the_same_in_a_pack(subject: Subject) -> Verdict:
    """It gives the same names and numbers of a trial alone and among others: padding does not show."""
    return verdict_of(difference(_alone(subject), _together(subject), ("alone", "in a pack")))


def is_the_same_again(subject: Subject) -> Verdict:
    """Called twice on one state it gives the same, bit for bit."""
    before = {name: array[-1] for name, array in subject.alone.metrics.items()}
    return verdict_of(difference(_own(before), _own(subject.alone.last_metrics), ("at first", "again"), rounding=0))


def is_nothing_where_it_is_not_due(subject: Subject) -> Verdict:
    """Where `every` leaves an eval point out it gives nan, and at the others what it gives without."""
    seldom = _own(subject.seldom.metrics)
    given = [name for name, array in seldom.items() if not np.isnan(array[1]).all()]
    if given:
        return broken(f"{given[0]} is given half-way with every=2, which leaves that eval point out")
    ends = [{name: array[[0, -1], 0] for name, array in _own(run.metrics).items()} for run in (subject.alone, subject.seldom)]
    return verdict_of(difference(ends[0], ends[1], ("with every=1", "with every=2")))
