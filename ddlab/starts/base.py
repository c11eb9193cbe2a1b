"""What the start of a trial is made of.

Arrays go by the names of parameters (their paths in the network), each of its active size: a start is the same in every pack.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

Arrays = Mapping[str, np.ndarray]

# Which weights live -> their scores.
ScoreFn = Callable[[Arrays], Arrays]


class Ref(NamedTuple):
    """Another trial at a step.

    Attributes:
        trial: its `weights_id`; its `trial_id` where that says when it ends.
        step: at which its weights are meant; None: its last.
    """

    trial: str
    step: int | None


class Kept(NamedTuple):
    """What is kept of a trial at a step.

    Attributes:
        params, constants, moving: of its network.
        masks: of its weights, bool; none where all live.
        optimizer: the state of its optimizer.
    """

    params: Arrays
    constants: Arrays
    moving: Arrays
    masks: Arrays
    optimizer: Arrays


class Values(abc.ABC):
    """Base of what says where the parameters of a trial are from."""

    @abc.abstractmethod
    def refs(self) -> list[Ref]:
        """Return the trials that it takes from."""

    @abc.abstractmethod
    def __call__(self, kept: Sequence[Kept], drawn: Kept) -> Kept:
        """Return the values, given what is kept of these trials, and what the trial has drawn."""


class Weights(NamedTuple):
    """The weights of a trial that a mask may take out: parameters of two axes and more.

    Attributes:
        live: those that live before the cut, bool.
        layers: name of a layer -> (name of a parameter, its index along its axis of layers, if it has one).
        readout: layers whose outputs are those of the network.
    """

    live: Arrays
    layers: Mapping[str, tuple[str, int | None]]
    readout: frozenset[str]

    def by_layer(self, arrays: Arrays) -> dict[str, np.ndarray]:
        """Return arrays of the weights, layer by layer."""
        return {layer: arrays[name] if index is None else arrays[name][index] for layer, (name, index) in self.layers.items()}


class Mask(abc.ABC):
    """Base of what says which weights of a trial live.

    Class attributes:
        stream: of its chances; a mask may be drawn of one that was drawn, which must be of another stream.
    """

    stream: ClassVar[str] = "mask"

    @abc.abstractmethod
    def refs(self) -> list[Ref]:
        """Return the trials that it is of: one, or none."""

    @abc.abstractmethod
    def __call__(self, weights: Weights, score_fn: ScoreFn | None, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return which weights live, bool.

        Args:
            weights: those that live in the trial that it is of.
            score_fn: gives the scores of these, or of fewer that live, where the mask has a score.
            rng: of the trial and `stream`.
        """


@dataclass(frozen=True)
class Score(abc.ABC):
    """Base of scores of weights: those of the largest are kept.

    Class attributes:
        needs_gradient: it reads `snapshot.gradient`, that of the training loss over the whole training set.
    """

    needs_gradient: ClassVar[bool] = False

    @abc.abstractmethod
    def __call__(self, snapshot: Any) -> Any:
        """Return a number for each parameter, a pytree like `snapshot.params`."""
