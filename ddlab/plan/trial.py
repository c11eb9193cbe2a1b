"""A trial, and the trials that it starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ddlab.plan.shapes import Shape


class Parent(NamedTuple):
    """A trial that another starts from.

    Attributes:
        key: the leaf that names it.
        trial: it.
        name: what the leaf says: its `weights_id`, which decides the weights at a step; where no leaf says at which, or it may
            end before, its `trial_id`.
        step: at which its weights are taken; None: its last.
        optimizer: the state of its optimizer is taken, too.
    """

    key: str
    trial: Trial
    name: str
    step: int | None
    optimizer: bool


@dataclass(frozen=True, slots=True)
class Trial:
    """One point of the sweep.

    Attributes:
        id: as `ddlab.config.identity` says.
        weights_id: likewise.
        config: all leaves as canonical JSON.
        shape: what it shares with the trials that differ from it in leaves that may vary within a pack.
        parents: the trials that it starts from.
        level: 0 where there are none, else one more than the highest level among them.
        groups: for each sharing of its cost (`ddlab.plan.cost`) a number that is equal for trials that share.
        varied: its values of the axes along which the trials of its shape differ.
    """

    id: str
    weights_id: str
    config: str
    shape: Shape
    parents: tuple[Parent, ...]
    level: int
    groups: tuple[int, ...]
    varied: Mapping[str, Any]

    @property
    def point(self) -> dict[str, Any]:
        """Its value of each axis of its part."""
        return {**self.shape.point, **self.varied}

    @property
    def labels(self) -> dict[str, Any]:
        """Its values of the axes that are no leaves."""
        return {key: self.shape.point[key] for key in self.shape.part.labels}
