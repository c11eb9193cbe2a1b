"""Rules of scores of weights."""

from __future__ import annotations

import numpy as np

from ddlab.contracts.rules.arrays import difference, not_finite
from ddlab.contracts.subject import Subject
from ddlab.contracts.verdict import Verdict, verdict_of


def is_finite(subject: Subject) -> Verdict:
    """It is a finite number for each parameter."""
    return verdict_of(not_finite(subject.pack.scores(subject.component)))


def is_the_same_in_a_pack(subject: Subject) -> Verdict:
    """A weight has the same score in a trial alone and among others, wider ones too, to rounding."""
    alone, packed = (trained.scores(subject.component) for trained in (subject.alone, subject.pack))
    own = {name: array[0] for name, array in alone.items()}
    live = {name: np.asarray(array[0][tuple(slice(size) for size in own[name].shape)]) for name, array in packed.items()}
    return verdict_of(difference(own, live, ("alone", "in a pack")))
