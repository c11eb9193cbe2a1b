"""Rules of what is trained: its trials in a pack, alone, taken up again, and lowered for accelerators."""

from __future__ import annotations

import math
from collections.abc import Iterator

import jax
import numpy as np

from ddlab.contracts.engine import NotLowered
from ddlab.contracts.rules.arrays import Arrays, difference, not_finite
from ddlab.contracts.subject import Subject
from ddlab.contracts.verdict import KEPT, Verdict, broken, skipped, verdict_of
from ddlab.parameters import named

# Central differences with a step h are off by h^2 f''' / 6 and by 1e-16 f / h: some 1e-10 at h = 1e-5. What they are compared
# with is the length of the gradient, as they may be near zero themselves; a wrong gradient is off by more than a hundredth of it.
STEP, SLOPE_ERROR = 1e-5, 1e-6

ALONE_AND_PACKED = ("alone", "in a pack")


def begins_finite(subject: Subject) -> Verdict:
    """The metrics of a trial are finite before training."""
    return verdict_of(not_finite({name: values[0] for name, values in subject.pack.metrics.items()}))


def has_the_parameters_that_are_planned(subject: Subject) -> Verdict:
    """P, as the plan counts it, is the number of parameters that are trained."""
    trained = sum(math.prod(array.shape[1:]) for array in named(subject.alone.begun.params).values())
    planned = subject.size.num_params
    return verdict_of(f"{planned} are planned and {trained} are trained" if planned != trained else "")


def begins_alike(subject: Subject) -> Verdict:
    """A trial starts from the same numbers, bit for bit, whatever pack it lies in."""
    return verdict_of(_start_differs(subject))


def _start_differs(subject: Subject) -> str:
    alone, packed = (named(trained.first.params) for trained in (subject.alone, subject.pack))
    return difference(_trial(alone), _live(packed, alone), ALONE_AND_PACKED, rounding=0)


def _trial(arrays: Arrays, trial: int = 0) -> dict[str, np.ndarray]:
    return {name: array[trial] for name, array in arrays.items()}


def _live(packed: Arrays, alone: Arrays, trial: int = 0) -> dict[str, np.ndarray]:
    """Return the arrays of one trial of a pack, cut to the sizes that they have where it is alone."""
    cut = {name: tuple(slice(size) for size in array.shape[1:]) for name, array in alone.items()}
    return {name: array[trial][cut.get(name, ())] for name, array in packed.items()}


def stays_dead_where_padded(subject: Subject) -> Verdict:
    """Padded units stay exactly zero: their parameters, and what the optimizer keeps of them."""
    if not subject.padded:
        return skipped("it has no field of mark SIZE, so that trials are packed with others of their size only")
    if problem := not_finite(named(subject.pack.last.params)):
        return skipped(f"cannot be checked: {problem} after training")
    return verdict_of(next(_live_padding(subject), ""))


def _live_padding(subject: Subject) -> Iterator[str]:
    """Yield in words which arrays have padded entries that are not zero after training."""
    for trial, alone in subject.padded.items():
        for what in ("params", "optimizer"):
            own = named(getattr(alone.begun, what))
            for name, array in named(getattr(subject.pack.last, what)).items():
                beyond = np.array(array[trial])
                beyond[tuple(slice(size) for size in own[name].shape[1:])] = 0
                if beyond.any():
                    yield f"{np.count_nonzero(beyond)} padded entries of {what} {name} are not zero after training"


def is_the_same_in_a_pack(subject: Subject) -> Verdict:
    """Packed among others, wider ones too, a trial is what it is alone, to rounding, at every step."""
    if _start_differs(subject):
        return skipped("cannot be checked: it starts from other numbers in a pack")
    if any(_live_padding(subject)):
        return skipped("cannot be checked: its padded units do not stay zero")
    metrics = [{name: array[:, 0] for name, array in run.metrics.items()} for run in (subject.alone, subject.pack)]
    alone, packed = (named(run.last.params) for run in (subject.alone, subject.pack))
    return verdict_of(
        difference(metrics[0], metrics[1], ALONE_AND_PACKED) or difference(_trial(alone), _live(packed, alone), ALONE_AND_PACKED)
    )


def follows_its_gradient(subject: Subject) -> Verdict:
    """The gradient that training follows is that of the training loss, by finite differences in float64."""
    start, gradient = subject.alone.first.params, subject.alone.gradient
    if gradient is None:
        return skipped(
            "cannot be checked: needs full batches, sgd without weight decay or warm-up, a network the same in training"
        )
    if not_finite(named(gradient)):
        return skipped("cannot be checked: the gradient is not finite")
    random = np.random.default_rng(0)
    slopes = named(gradient)
    length = math.sqrt(sum(float(np.sum(slope**2)) for slope in slopes.values()))
    for name, slope in slopes.items():
        direction = random.standard_normal(slope.shape)
        direction /= np.linalg.norm(direction)
        up, down = (subject.alone.loss(_moved(start, name, sign * STEP * direction)) for sign in (1, -1))
        found, expected = float(np.sum(slope * direction)), (up - down) / (2 * STEP)
        if not abs(found - expected) <= SLOPE_ERROR * max(1.0, length, abs(expected)):
            return broken(f"along a direction of {name} the loss has slope {expected:.6g}, and the gradient {found:.6g}")
    return KEPT


def _moved(params: object, name: str, by: np.ndarray) -> object:
    """Return parameters with something added to those of one name."""
    moved = [array + by if key == name else array for key, array in named(params).items()]
    return jax.tree.unflatten(jax.tree.structure(params), moved)


def resumes(subject: Subject) -> Verdict:
    """Stopped half-way and taken up from a copy on the host, training ends as if it had not stopped, bit for bit."""
    whole, resumed = (named((state.params, state.optimizer)) for state in (subject.alone.last, subject.alone.resumed))
    return verdict_of(difference(whole, resumed, ("without a stop", "with one"), rounding=0))


def compiles_once(subject: Subject) -> Verdict:
    """One program serves every call and every value of the traced fields."""
    pack = subject.pack
    assert pack.metrics
    again = [name for name, count in pack.traces.items() if count > 1]
    if again:
        return broken(f"{again[0]} is compiled anew when it is called a second time")
    try:
        same = pack.text == subject.pack_of_other_values.text
    except NotLowered:
        return skipped("cannot be checked: the program cannot be lowered")
    return verdict_of("" if same else "trials that differ in traced fields only do not have the same program")


def lowers(subject: Subject) -> Verdict:
    """Its program lowers for CUDA and TPU, and calls nothing that only a CPU has."""
    try:
        assert subject.pack.text
    except NotLowered as error:
        return broken(str(error))
    return KEPT
