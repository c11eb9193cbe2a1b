"""What trials cost, as the planner asks for it: each way to run a pack answers in its own numbers."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import NamedTuple

from ddlab.plan.machine import Machine

# The leaves that trials must agree in to share some work: the same decomposition, or the same data set.
Sharing = tuple[str, ...]


class Load(NamedTuple):
    """How much a pack, or a part of one, holds.

    Attributes:
        trials: how many.
        shared: for each `Cost.sharing` of its trials, into how many groups that share it they fall.
        examples: of training, and of evaluation, of all trials together; a trial has its own, however many it is padded to.
    """

    trials: int
    shared: tuple[int, ...]
    examples: tuple[int, int]


class Cost(abc.ABC):
    """What a load of trials costs that are padded to one shape.

    Attributes:
        sharing: of what these trials share some work.
        may_stop: trials may end before their last step, so that they cost less.
    """

    sharing: tuple[Sharing, ...]

    @property
    def may_stop(self) -> bool:
        return False

    @abc.abstractmethod
    def program_seconds(self, machine: Machine) -> float:
        """Return how long it takes to trace and compile their program."""

    @abc.abstractmethod
    def flops(self, load: Load) -> float:
        """Return the floating-point operations of all trials together."""

    @abc.abstractmethod
    def seconds(self, load: Load, machine: Machine) -> float:
        """Return how long a machine runs them, compilation apart."""

    @abc.abstractmethod
    def num_bytes(self, load: Load, machine: Machine, budget: float) -> float:
        """Return the bytes that they take at once; a pack that can be taken in smaller pieces keeps within the budget."""

    @abc.abstractmethod
    def capacity(self, load: Load, machine: Machine, budget: float) -> int:
        """Return how many of these trials, at least one, fit into a pack of so many bytes."""


def load_of(groups: Sequence[tuple[int, ...]], examples: Sequence[tuple[int, int]]) -> Load:
    """Return the load of some trials.

    Args:
        groups: of each trial, for each sharing of its cost a number that is equal for trials that share.
        examples: of each trial, of training and of evaluation.
    """
    shared = tuple(len(set(numbers)) for numbers in zip(*groups, strict=True))
    trained, evaluated = (sum(numbers) for numbers in zip(*examples, strict=True))
    return Load(len(groups), shared, (trained, evaluated))
