"""What the start of a trial is made of.

Arrays go by the names of parameters (their paths in the network). What is kept of trials is padded with zeros to one size for all
that a start takes from; weights and masks are of their active sizes. So a start is the same in every pack.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ddlab.errors import ConfigError

Arrays = Mapping[str, np.ndarray]

# The unit of a cut that is a weight alone; the others are those of `ddlab.models.Axis`.
WEIGHT = "weight"
UNITS = (WEIGHT, "neuron", "channel", "head", "expert")

# Which parameters live -> the terms of their scores.
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
    """Base of what says where the parameters of a trial are from.

    Class attributes:
        GOES_ON: they are those of one trial at a step, from which its optimizer and its clock may go on, too.
    """

    GOES_ON: ClassVar[bool] = False

    @abc.abstractmethod
    def refs(self) -> list[Ref]:
        """Return the trials that it takes from."""

    @abc.abstractmethod
    def __call__(self, kept: Sequence[Kept], drawn: Kept) -> Kept:
        """Return the values, given what is kept of these trials, and what the trial has drawn."""


class Piece(NamedTuple):
    """A parameter, or the part of it that is one layer's.

    Attributes:
        name: of the parameter.
        layer: its index along its axis of layers; None: it has none.
    """

    name: str
    layer: int | None

    def of(self, arrays: Arrays) -> np.ndarray:
        """Return the part of an array, a view."""
        return arrays[self.name] if self.layer is None else arrays[self.name][self.layer]


class Layer(NamedTuple):
    """The weight of a layer.

    Attributes:
        piece: it.
        inputs: the axis of its inputs, counted from the last.
        is_readout: its outputs are those of the network.
    """

    piece: Piece
    inputs: int
    is_readout: bool


@dataclass(frozen=True)
class Sets:
    """Parameters in sets that live or die together: each weight of a layer alone, or all of each unit along an axis.

    Attributes:
        pieces: what they are of, and the axis of each along which they lie; None: each entry is a set of its own.
    """

    pieces: tuple[tuple[Piece, int | None], ...]

    def of(self, arrays: Arrays) -> np.ndarray:
        """Return the entries of each set, [sets, entries]."""
        parts = self._parts(arrays)
        return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)

    def take_out(self, masks: Arrays, dead: np.ndarray) -> None:
        """Mask those sets [sets] that are dead, in place; the masks are arrays of their own, not views."""
        for part in self._parts(masks):
            part[dead] = False

    def _parts(self, arrays: Arrays) -> list[np.ndarray]:
        """Return what the sets have of each piece, [sets, ...]."""
        own = [(piece.of(arrays), axis) for piece, axis in self.pieces]
        return [array.reshape(-1) if axis is None else np.moveaxis(array, axis, 0) for array, axis in own]


@dataclass(frozen=True)
class Weights:
    """What of a trial a mask may take out: weights, which are parameters of two axes and more, or units.

    Attributes:
        live: the parameters that live before the cut, bool.
        layers: of its weights, by name.
        units: kind of unit -> the units along each of its axes, by name; of stacked layers along that of each.
    """

    live: Arrays
    layers: Mapping[str, Layer]
    units: Mapping[str, Mapping[str, Sets]]

    def by_layer(self, arrays: Arrays) -> dict[str, np.ndarray]:
        """Return arrays of the weights, layer by layer."""
        return {name: layer.piece.of(arrays) for name, layer in self.layers.items()}

    def sets(self, unit: str) -> Mapping[str, Sets]:
        """Return what is taken out as a whole, weights or units of a kind, by layer or axis.

        Raises:
            ConfigError: the network has no such units.
        """
        if unit == WEIGHT:
            return {name: Sets(((layer.piece, None),)) for name, layer in self.layers.items()}
        if unit not in self.units:
            has = " or ".join([WEIGHT, *sorted(self.units)])
            raise ConfigError(f"start.mask.unit={unit}: must be {has}; the network has no such units that can go alone")
        return self.units[unit]


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
        """Return which parameters live, bool.

        Args:
            weights: those of the trial that it is of.
            score_fn: gives the terms of the scores of these, or of fewer that live, where the mask has a score.
            rng: of the trial and `stream`.
        """


@dataclass(frozen=True)
class Score(abc.ABC):
    """Base of scores, of weights and of sets of them such as units: those of the largest are kept.

    Class attributes:
        needs_gradient: it reads `snapshot.gradient`, that of the training loss over the whole training set.
    """

    needs_gradient: ClassVar[bool] = False

    @abc.abstractmethod
    def __call__(self, snapshot: Any) -> Any:
        """Return a term for each parameter, a pytree like `snapshot.params`."""

    def of_sets(self, terms: np.ndarray) -> np.ndarray:
        """Return the score of each set of parameters, [sets], of the terms of its own, [sets, entries]: their sum.

        A weight alone is a set of one.
        """
        return terms.sum(axis=1)
