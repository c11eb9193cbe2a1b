"""From axes to trials: which trials there are, what they are called, and what each costs.

Pure Python, no arrays. A *part* is one composed config and its axes; its *shapes* are the distinct settings of everything
that decides array shapes or code; a *trial* is a shape with one value for every traced axis. `ddlab.pack` packs them.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

from ddlab.config import (
    SCHEMA_VERSION,
    Leaves,
    Mark,
    Train,
    build_measures,
    component_class,
    declarations,
    traced_keys,
    train_settings,
    width_key,
)
from ddlab.errors import ConfigError

# Most and fewest examples that go through a network at once; longer batches are taken in pieces.
MOST_EXAMPLES, LEAST_EXAMPLES = 1024, 128

# A step of a single wide network takes as long as that of two: XLA's CPU product for its first layer's gradient is a slow one.
LEAST_TILE = 2

# Metrics that every trial has.
NUM_LOSSES = 4
# Most trials of a sweep: their configs, over 1 KB each, are kept in memory.
MOST_TRIALS = 1_000_000

# The number of features of a model that is linear in its parameters.
WIDTH = "model.width"

# Of an eigendecomposition of n x n numbers of type float64, in n^3 operations at the speed of a product in float32.
EIGEN_FLOPS = 24.0


@dataclass(frozen=True)
class Part:
    """One composed config with its axes; a sweep has one part for each combination of structural choices.

    Attributes:
        choices: the config-group choices, such as ``{"data": "mnist1d", "model": "mlp"}``.
        structural: the choices that are axes of the sweep; they tell the parts of one sweep apart.
        base: the leaves before any axis is applied.
        fixed: those of them that are no axis of the sweep, also where the command line pins one: what all trials share.
        axes: dotted key -> the checked values it takes.
        aliases: dotted key -> the axis whose value it always has, as by `data.seed: ${seed}`, and value of the axis -> its own.
        at: given where the config has other interpolations: values of some keys -> all leaves, interpolations resolved anew.
    """

    choices: Mapping[str, str]
    structural: Mapping[str, str]
    base: Leaves
    fixed: Leaves
    axes: Mapping[str, Sequence[Any]]
    aliases: Mapping[str, tuple[str, Mapping[Any, Any]]] = field(default_factory=dict)
    at: Callable[[Mapping[str, Any]], Leaves] | None = None

    def followed(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """Return values of axes with those of their aliases."""
        return {**point, **{alias: values[point[axis]] for alias, (axis, values) in self.aliases.items() if axis in point}}


@dataclass(frozen=True)
class Size:
    """What decides the cost of a trial.

    Attributes:
        num_params: P.
        num_units: outputs of all weight matrices.
        num_products: multiply-adds that the network makes for one example.
        num_inputs: numbers of one input.
        num_train: training examples N.
        num_test: test examples.
        num_outputs: K.
    """

    num_params: int
    num_units: int
    num_products: int
    num_inputs: int
    num_train: int
    num_test: int
    num_outputs: int


@dataclass(frozen=True)
class Shape:
    """A part with every axis settled that decides shapes or code."""

    part: Part
    leaves: Leaves
    size: Size

    @cached_property
    def train(self) -> Train:
        """Its training settings."""
        return train_settings(self.leaves)

    @cached_property
    def width_key(self) -> str | None:
        """As `config.width_key`."""
        return width_key(self.leaves)

    @cached_property
    def width(self) -> int:
        """The leaf of mark WIDTH, or else the one that is called `width`; 0 where there is neither."""
        width = self.leaves.get(self.width_key or WIDTH)
        return width if isinstance(width, int) else 0

    @cached_property
    def signature(self) -> str:
        """Equal for trials that one compiled program can train."""
        traced = traced_keys(self.leaves)
        return _dump({key: value for key, value in self.leaves.items() if key not in traced})

    @cached_property
    def places(self) -> frozenset[str]:
        return places(self.leaves)

    @cached_property
    def exact(self) -> bool:
        """Whether its trials are solved in closed form."""
        return is_exact(self.leaves)

    @cached_property
    def step_flops(self) -> float:
        """Floating-point operations of one step of one trial: 2 per multiply-add forward, 4 backward."""
        return 6.0 * self.size.num_products * (self.train.batch_size or self.size.num_train)

    @cached_property
    def flops(self) -> float:
        """Floating-point operations of one trial: its steps, and evaluation with a gradient on the training set."""
        if self.exact:
            return self._solve_flops
        of_eval = self.size.num_products * (6.0 * self.size.num_train + 2.0 * self.size.num_test)
        return self.train.steps * self.step_flops + self.num_evals * of_eval

    @cached_property
    def num_evals(self) -> int:
        """Eval points of a trial, at most."""
        return min(self.train.num_evals, self.train.steps + 1)

    @cached_property
    def of_problem(self) -> tuple[int, int]:
        """Widths of a problem of the exact solver and trials at each, where all trials of the part are solved."""
        axes = {key: len(values) for key, values in self.part.axes.items()}
        own = math.prod(axes[key] for key in axes.keys() - shared_by_problem(self.leaves).keys())
        widths = axes.get(WIDTH, 1)
        return widths, own // widths

    @cached_property
    def row_bytes(self) -> float:
        """Bytes of the metrics of a trial at one eval point."""
        return row_bytes(self.leaves, self.size.num_outputs)

    @cached_property
    def _solve_flops(self) -> float:
        """Operations of one trial in closed form: its share of the decomposition, and the metrics of its eval points."""
        size = self.size
        width = size.num_params // size.num_outputs
        modes = min(size.num_train, width)
        examples = size.num_train + size.num_test
        features = 2.0 * size.num_products * examples
        products = 2.0 * size.num_train * width * modes
        decomposition = EIGEN_FLOPS * modes**3 + 2.0 * examples * modes**2
        of_eval = 2.0 * size.num_params * (examples + 2 * size.num_train)
        widths, at_width = self.of_problem
        num_trials = widths * at_width
        of_evals = self.num_evals * of_eval
        return (features + products) / num_trials + decomposition / at_width + of_evals

    @cached_property
    def state_bytes(self) -> float:
        """Bytes of what one trial changes as it is trained: parameters and two moments."""
        return itemsize(self.train) * 3.0 * self.size.num_params

    @cached_property
    def own_data_bytes(self) -> float:
        """Bytes of the data set where it may differ between the trials of a pack, else 0."""
        part = self.part
        varied = self.leaves if part.at or part.structural else {**part.axes, **part.aliases}
        has_own = any(key in varied for key in traced_keys(self.leaves) if key.startswith("data."))
        return self.data_bytes if has_own else 0.0

    @cached_property
    def data_bytes(self) -> float:
        """Bytes of the data set, which lies on each device."""
        return itemsize(self.train) * (self.size.num_inputs + 1.0) * (self.size.num_train + self.size.num_test)


def places(leaves: Leaves) -> frozenset[str]:
    """Return the leaves that say where something lies, not what it is; they are no part of a trial's identity."""
    return frozenset(key for key, declared in declarations(leaves).items() if declared.mark is Mark.PLACE)


def is_exact(leaves: Leaves) -> bool:
    """Return whether the optimizer is a closed form."""
    return getattr(component_class("optimizer", leaves["optimizer._target_"]), "EXACT", False)


def shared_by_problem(leaves: Leaves) -> dict[str, Any]:
    """Return what the trials of one problem of the exact solver have in common: all but the width, targets and optimizer."""
    of_targets: frozenset[str] = getattr(component_class("data", leaves["data._target_"]), "OF_TARGETS", frozenset())
    own = {WIDTH, *(f"data.{name}" for name in of_targets)}
    return {key: value for key, value in leaves.items() if key not in own and not key.startswith("optimizer.")}


def itemsize(train: Train) -> int:
    """Return the bytes of one stored number."""
    return 8 if train.dtype == "float64" else 4


def row_bytes(leaves: Leaves, num_outputs: int) -> float:
    """Return the bytes of the metrics of a trial at one eval point: losses, errors and what the measures give."""
    of_measures = sum(getattr(measure, "num_values", lambda _: 1)(num_outputs) for measure in build_measures(leaves))
    return itemsize(train_settings(leaves)) * float(NUM_LOSSES + of_measures)


def step_bytes(size: Size, train: Train) -> float:
    """Return the bytes that a step of one trial goes through: parameters, gradient, two moments, and activations.

    Activations: an example's inputs, and for each unit its input, its output and the gradient of it.
    """
    examples = min(train.batch_size or size.num_train, MOST_EXAMPLES)
    return itemsize(train) * (4.0 * size.num_params + examples * (size.num_inputs + 3.0 * size.num_units))


def tiling(size: Size, train: Train, working_bytes: int) -> tuple[int, int]:
    """Return how many trials a device trains at once, and how many examples go through a network at once.

    The arrays of a step may take `working_bytes`, one layer of one of its chunks half of that.

    Args:
        size: of the widest trial of the pack.
        train: its training settings.
        working_bytes: of the arrays that a device works on best.
    """
    tile = max(LEAST_TILE, int(working_bytes / step_bytes(size, train)))
    chunk = int(working_bytes / (2 * tile * itemsize(train) * size.num_units))
    return tile, min(max(chunk, LEAST_EXAMPLES), MOST_EXAMPLES)


@dataclass(frozen=True, slots=True)
class Trial:
    """One point of the sweep.

    Attributes:
        id: sha256 of the canonical science config (16 hex digits), never of paths, launcher or packing.
        config: all leaves as canonical JSON.
        shape: what it shares with the trials that differ from it in traced leaves only.
    """

    id: str
    config: str
    shape: Shape


def _dump(leaves: Leaves) -> str:
    return json.dumps(dict(leaves), sort_keys=True, separators=(",", ":"))


class _Template:
    """The canonical JSON of the trials of one shape: what they share is encoded once.

    `text({**leaves, **own})` is `_dump` of them, for any `own` whose keys are among those that were named.
    """

    def __init__(self, leaves: Leaves, own: Iterable[str]):
        self._places = {key: place for place, key in enumerate(sorted(leaves)) if key in set(own)}
        self._pieces = [_dump({key: leaves[key]})[1:-1] for key in sorted(leaves)]

    def text(self, own: Mapping[str, str]) -> str:
        """Return the JSON of the leaves with some of them encoded anew, each as `encoded` gives it."""
        pieces = self._pieces.copy()
        for key, piece in own.items():
            if key in self._places:
                pieces[self._places[key]] = piece
        return "{" + ",".join(pieces) + "}"

    @staticmethod
    def encoded(key: str, value: Any) -> str:
        """Return one leaf as it stands in the JSON."""
        return _dump({key: value})[1:-1]


def _hash(science: str) -> str:
    return hashlib.sha256(science.encode()).hexdigest()[:16]


def trial_id(leaves: Leaves, places: Iterable[str] = ()) -> str:
    """Return the identity of a trial: the hash of its science config and the schema version."""
    return _hash(_dump(_science(leaves, places)))


def _science(leaves: Leaves, places: Iterable[str]) -> Leaves:
    return {"schema": SCHEMA_VERSION, **{key: value for key, value in leaves.items() if key not in places}}


def num_trials(parts: Sequence[Part]) -> int:
    """Return the number of points of all parts, those that are listed twice included.

    Raises:
        ConfigError: an axis without values, or more points than a sweep may have.
    """
    counts = [{key: len(values) for key, values in part.axes.items()} for part in parts]
    for key, count in ((key, count) for axes in counts for key, count in axes.items()):
        if not count:
            raise ConfigError(f"{key}: an axis needs at least one value")
    total = sum(math.prod(axes.values()) for axes in counts)
    if total > MOST_TRIALS:
        largest = max(counts, key=lambda axes: math.prod(axes.values()))
        named = ", ".join(f"{key}: {count:,} values" for key, count in largest.items() if count > 1)
        raise ConfigError(f"the axes make {total:,} trials ({named}); a sweep has at most {MOST_TRIALS:,}")
    return total


def make_trials(parts: Sequence[Part], settle: Callable[[Leaves], tuple[Leaves, Size]]) -> list[Trial]:
    """Expand the axes of every part into trials; a point that is listed twice counts once.

    Args:
        parts: the parts of the sweep.
        settle: checks the leaves of one shape, derives what must be derived (the width that gives a wanted parameter
            count) and measures its size. Called once per shape, not per trial.

    Raises:
        ConfigError: as `num_trials`, or leaves that `settle` refuses.
    """
    num_trials(parts)
    trials: dict[str, Trial] = {}
    for part in parts:
        for trial in _part_trials(part, settle):
            trials.setdefault(trial.id, trial)
    return list(trials.values())


def _part_trials(part: Part, settle: Callable[[Leaves], tuple[Leaves, Size]]) -> Iterator[Trial]:
    declared = declarations(part.base)
    follow = {axis: [alias for alias, (source, _) in part.aliases.items() if source == axis] for axis in part.axes}
    is_traced = {
        key: part.at is None and all(declared[name].mark is Mark.TRACED for name in (key, *follow[key])) for key in part.axes
    }
    traced = {key: values for key, values in part.axes.items() if is_traced[key]}
    shaping = {key: values for key, values in part.axes.items() if not is_traced[key]}
    first = {key: values[0] for key, values in traced.items()}
    points = [
        {key: _Template.encoded(key, value) for key, value in part.followed(dict(zip(traced, values, strict=True))).items()}
        for values in itertools.product(*traced.values())
    ]
    for values in itertools.product(*shaping.values()):
        point = part.followed({**first, **dict(zip(shaping, values, strict=True))})
        leaves, size = settle(part.at(point) if part.at else {**part.base, **point})
        shape = Shape(part, MappingProxyType(dict(leaves)), size)
        yield from _shape_trials(shape, points)


def _shape_trials(shape: Shape, points: Sequence[Mapping[str, str]]) -> Iterator[Trial]:
    """Yield the trials of a shape, one for each point of the traced axes: leaf -> it and its value in JSON."""
    own = points[0]
    config, science = _Template(shape.leaves, own), _Template(_science(shape.leaves, shape.places), own)
    for point in points:
        yield Trial(_hash(science.text(point)), config.text(point), shape)
