"""What a part of a sweep is, and a shape of its trials.

A *part* is one composed config and its axes; its *shapes* are the distinct settings of everything that decides array shapes or
code.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

from ddlab.config.declare import Mark
from ddlab.config.trial import Leaves, clock_of, marked
from ddlab.plan.cost import Cost

# The number of features of a model that is linear in its parameters.
WIDTH = "model.width"

# The axis of the rounds of a stage, which is no key of the config; and what names the trials of the round before.
ROUND, PREVIOUS = "round", "previous"

# What tells the stages of a sweep apart, as choices of a config group do.
STAGE = "stage"

# The leaf of a model that asks for a number of parameters instead of a width.
NUM_PARAMS = "model.num_params"


@dataclass(frozen=True)
class Part:
    """One composed config with its axes; a sweep has one part for each combination of structural choices.

    Attributes:
        choices: the config-group choices, such as ``{"data": "mnist1d", "model": "mlp"}``.
        structural: the choices that are axes of the sweep; they tell the parts of one sweep apart.
        base: the leaves before any axis is applied.
        fixed: those of them that do something and are no axis of the sweep, also where the command line pins one: what all trials
            share.
        axes: dotted key -> the checked values it takes; a label, which is no leaf, only tells trials apart.
        aliases: dotted key -> the axis whose value it always has, as by `data.seed: ${seed}`, and value of the axis -> its own.
        labels: the axes that are no leaves, and only tell trials apart.
        first: the stage that its first round follows; empty: it has no rounds of its own.
        at: given where the config has other interpolations: values of some keys -> all leaves, interpolations resolved anew.
    """

    choices: Mapping[str, str]
    structural: Mapping[str, str]
    base: Leaves
    fixed: Leaves
    axes: Mapping[str, Sequence[Any]]
    aliases: Mapping[str, tuple[str, Mapping[Any, Any]]] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    first: str = ""
    at: Callable[[Mapping[str, Any]], Leaves] | None = None

    def followed(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """Return values of axes with those of their aliases."""
        return {**point, **{alias: values[point[axis]] for alias, (axis, values) in self.aliases.items() if axis in point}}

    def at_point(self, point: Mapping[str, Any]) -> Leaves:
        """Return the leaves at values of the axes, nothing settled."""
        own = self.followed({key: value for key, value in point.items() if key in self.base and key not in self.labels})
        return self.at(own) if self.at else {**self.base, **own}

    @property
    def stage(self) -> str:
        """Its stage; empty where the sweep has none."""
        return self.structural.get(STAGE, "")

    @property
    def chosen(self) -> dict[str, str]:
        """Its choices among the options of axes that are config groups."""
        return {group: option for group, option in self.structural.items() if group != STAGE}

    def in_stage(self, name: str, labels: Mapping[str, Sequence[Any]], first: str) -> Part:
        """Return the part as one of a stage; labels: axes that are no leaves, and their values, the rounds first."""
        own = tuple(sorted(labels, key=lambda key: (key != ROUND, key)))
        axes = {**{key: tuple(labels[key]) for key in own}, **self.axes}
        named = {STAGE: name}
        choices, structural = {**self.choices, **named}, {**self.structural, **named}
        return replace(self, choices=choices, structural=structural, axes=axes, labels=own, first=first)

    def at_values(self, point: Mapping[str, Any], key: str, values: Sequence[int]) -> Part:
        """Return the part with one value of some of its axes, and other values, between those it has, of an axis of numbers."""
        axes = {**self.axes, **{axis: (value,) for axis, value in point.items()}, key: tuple(values)}
        aliases = {
            alias: (axis, {value: type(next(iter(own.values())))(value) for value in values} if axis == key else own)
            for alias, (axis, own) in self.aliases.items()
        }
        return replace(self, axes=axes, aliases=aliases)


@dataclass(frozen=True)
class Size:
    """What decides the cost of a trial.

    Attributes:
        num_params: P.
        num_units: outputs of all weight matrices.
        num_activations: numbers that the layers give for one example, with the patches that convolutions copy.
        num_products: multiply-adds that the network makes for one example.
        num_lookups: entries of tables that it looks up for one example.
        num_shared: multiply-adds that it makes for all examples of a pass together, such as those of tables.
        num_inputs: numbers of one input.
        num_train: training examples N.
        num_test: examples of all other splits.
        num_outputs: K.
        num_operations: that the network is written in, each counted once, however large: what its program takes to compile.
    """

    num_params: int
    num_units: int
    num_activations: int
    num_products: int
    num_lookups: int
    num_shared: int
    num_inputs: int
    num_train: int
    num_test: int
    num_outputs: int
    num_operations: int

    @property
    def examples(self) -> tuple[int, int]:
        """Examples of training, and of evaluation."""
        return self.num_train, self.num_test


class Settled(NamedTuple):
    """The leaves of one shape, checked and completed, and what follows from them.

    Attributes:
        leaves: of one of its trials.
        size: what decides the cost of a trial.
        cost: of its trials.
        padded: its leaves of mark SIZE, that trials are padded in to the largest of their pack.
    """

    leaves: Leaves
    size: Size
    cost: Cost
    padded: tuple[str, ...]


@dataclass(frozen=True)
class Shape:
    """A part with every axis settled that decides shapes or code.

    Attributes:
        part: it.
        point: the values of these axes.
        leaves, size, cost, padded: as `Settled` has them.
    """

    part: Part
    point: Mapping[str, Any]
    leaves: Leaves
    size: Size
    cost: Cost
    padded: tuple[str, ...]

    @cached_property
    def sizes(self) -> tuple[float, ...]:
        """What its trials are padded in: the values of those leaves, and the examples that follow from them."""
        return (*(self.leaves[key] for key in self.padded), *self.size.examples)

    @cached_property
    def width(self) -> int:
        """The leaf of the model that is called `width`, or else its one leaf of mark SIZE; 0 where there is neither."""
        of_model = [key for key in marked(self.leaves, Mark.SIZE) if key.startswith("model.")]
        width = self.leaves.get(of_model[0] if len(of_model) == 1 else WIDTH)
        return width if isinstance(width, int) else 0

    @cached_property
    def signature(self) -> str:
        """Equal for trials that one compiled program can run."""
        host, varying = marked(self.leaves, Mark.HOST), (*marked(self.leaves, Mark.TRACED), *self.padded)
        shared = {
            key: value
            for key, value in self.leaves.items()
            if key not in host and (key not in varying or value is None)  # null is no number
        }
        return json.dumps([shared, self.clock, self.size.num_inputs, self.size.num_outputs], sort_keys=True)

    @property
    def clock(self) -> int:
        """The step at which its trials begin."""
        return clock_of(self.leaves)
