"""From axes to trials to packs: which trials there are, and which of them train together.

Pure Python, no arrays. A *part* is one composed config and its axes; its *shapes* are the distinct settings of everything
that decides array shapes or code; a *trial* is a shape with one value for every traced axis; a *pack* is a list of
trials that one compiled program trains.

Packing (`pack_trials`): trials whose static leaves agree share a signature. Within a signature the sorted widths are cut
into buckets by dynamic programming, so that compile seconds + padded arithmetic + per-step overhead is least.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

from ddlab.config import SCHEMA_VERSION, Leaves, Mark, declarations, train_settings, width_key
from ddlab.config import Pack as PackSettings
from ddlab.errors import ConfigError

# Examples that are evaluated at once; longer data sets are evaluated in chunks.
EVAL_EXAMPLES = 1024


@dataclass(frozen=True)
class Part:
    """One composed config with its axes; a sweep has one part for each combination of structural choices.

    Attributes:
        choices: the config-group choices, such as ``{"data": "mnist1d", "model": "mlp"}``.
        structural: the choices that are axes of the sweep; they tell the parts of one sweep apart.
        base: the leaves before any axis is applied.
        fixed: those of them that are no axis of the sweep, also where the command line pins one: what all trials share.
        axes: dotted key -> the checked values it takes.
        at: given where the config has interpolations: values of some keys -> all leaves, interpolations resolved anew.
    """

    choices: Mapping[str, str]
    structural: Mapping[str, str]
    base: Leaves
    fixed: Leaves
    axes: Mapping[str, Sequence[Any]]
    at: Callable[[Mapping[str, Any]], Leaves] | None = None


@dataclass(frozen=True)
class Size:
    """What decides the cost of a trial: P, units, numbers per input, training examples N, test examples and outputs K."""

    num_params: int
    num_units: int
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
    def width_key(self) -> str | None:
        """As `config.width_key`."""
        return width_key(self.leaves)

    @cached_property
    def width(self) -> int:
        return self.leaves[self.width_key] if self.width_key else 0

    @cached_property
    def traced_keys(self) -> tuple[str, ...]:
        """The leaves that enter the compiled program as arrays."""
        traced = [key for key, declared in self._declared.items() if declared.mark is Mark.TRACED]
        return (*traced, self.width_key) if self.width_key else tuple(traced)

    @cached_property
    def signature(self) -> str:
        """Equal for trials that one compiled program can train."""
        return _dump({key: value for key, value in self.leaves.items() if key not in self.traced_keys})

    @cached_property
    def places(self) -> frozenset[str]:
        return frozenset(key for key, declared in self._declared.items() if declared.mark is Mark.PLACE)

    @cached_property
    def _declared(self) -> Mapping[str, Any]:
        return declarations(self.leaves)

    @cached_property
    def flops(self) -> float:
        """Floating-point operations of one trial: 6 P per example trained on, 2 P per example evaluated."""
        train = train_settings(self.leaves)
        size = self.size
        steps = train.steps * (train.batch_size or size.num_train)
        return 6.0 * size.num_params * (steps + train.num_evals * size.num_train) + 2.0 * size.num_params * (
            train.num_evals * (size.num_train + size.num_test)
        )

    @cached_property
    def num_bytes(self) -> float:
        """Bytes of one trial: parameters, gradients, optimizer state, activations and data of its own."""
        train = train_settings(self.leaves)
        itemsize = 8 if train.dtype == "float64" else 4
        examples = max(train.batch_size or self.size.num_train, min(EVAL_EXAMPLES, self.size.num_test))
        own_data = self.size.num_inputs * (self.size.num_train + self.size.num_test) if "data.seed" in self.part.axes else 0
        return itemsize * (6.0 * self.size.num_params + 4.0 * self.size.num_units * examples + own_data)


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


@dataclass(frozen=True)
class Pack:
    """Trials trained together by one compiled program, padded to the widest."""

    trials: tuple[Trial, ...]

    @cached_property
    def widest(self) -> Shape:
        return max((trial.shape for trial in self.trials), key=lambda shape: shape.width)

    @property
    def flops(self) -> float:
        return len(self.trials) * self.widest.flops

    @property
    def num_bytes(self) -> float:
        return len(self.trials) * self.widest.num_bytes


@dataclass(frozen=True)
class Machine:
    """A first cost model; its numbers are typical of two CPU cores."""

    compile_seconds: float = 4.0
    step_seconds: float = 3e-4
    flops_per_second: float = 2.5e11

    def seconds(self, shape: Shape, num_trials: int) -> float:
        """Return the seconds of a pack of `num_trials` trials padded to `shape`."""
        steps = train_settings(shape.leaves).steps
        return self.compile_seconds + steps * self.step_seconds + num_trials * shape.flops / self.flops_per_second


@dataclass
class _Bucket:
    trials: list[Trial] = field(default_factory=list)
    widest: Shape | None = None


def _dump(leaves: Leaves) -> str:
    return json.dumps(dict(leaves), sort_keys=True, separators=(",", ":"))


def trial_id(leaves: Leaves, places: Iterable[str] = ()) -> str:
    """Return the identity of a trial: the hash of its science config and the schema version."""
    science = {key: value for key, value in leaves.items() if key not in places}
    return hashlib.sha256(_dump({"schema": SCHEMA_VERSION, **science}).encode()).hexdigest()[:16]


def make_trials(parts: Sequence[Part], settle: Callable[[Leaves], tuple[Leaves, Size]]) -> list[Trial]:
    """Expand the axes of every part into trials; a point that is listed twice counts once.

    Args:
        parts: the parts of the sweep.
        settle: checks the leaves of one shape, derives what must be derived (the width that gives a wanted parameter
            count) and measures its size. Called once per shape, not per trial.

    Raises:
        ConfigError: an axis without values, or leaves that `settle` refuses.
    """
    trials: dict[str, Trial] = {}
    for part in parts:
        for trial in _part_trials(part, settle):
            trials.setdefault(trial.id, trial)
    return list(trials.values())


def _part_trials(part: Part, settle: Callable[[Leaves], tuple[Leaves, Size]]) -> Iterator[Trial]:
    for key, values in part.axes.items():
        if not values:
            raise ConfigError(f"{key}: an axis needs at least one value")
    declared = declarations(part.base)
    is_traced = {key: part.at is None and declared[key].mark is Mark.TRACED for key in part.axes}
    traced = {key: values for key, values in part.axes.items() if is_traced[key]}
    shaping = {key: values for key, values in part.axes.items() if not is_traced[key]}
    for values in itertools.product(*shaping.values()):
        point = dict(zip(shaping, values, strict=True))
        leaves, size = settle(part.at(point) if part.at else {**part.base, **point})
        shape = Shape(part, MappingProxyType(dict(leaves)), size)
        for values in itertools.product(*traced.values()):
            trial_leaves = {**shape.leaves, **dict(zip(traced, values, strict=True))}
            yield Trial(trial_id(trial_leaves, shape.places), _dump(trial_leaves), shape)


def pack_trials(trials: Sequence[Trial], settings: PackSettings, machine: Machine | None = None) -> list[Pack]:
    """Pack trials so that the estimated seconds are least, within the memory budget and `max_trials`."""
    machine = machine or Machine()
    by_signature: dict[str, dict[int, _Bucket]] = defaultdict(lambda: defaultdict(_Bucket))
    for trial in trials:
        bucket = by_signature[trial.shape.signature][trial.shape.width]
        bucket.trials.append(trial)
        bucket.widest = trial.shape
    packs = []
    for buckets in by_signature.values():
        by_width = [buckets[width] for width in sorted(buckets)]
        for first, last in _cut(by_width, settings, machine):
            members = [trial for bucket in by_width[first : last + 1] for trial in bucket.trials]
            packs += [Pack(tuple(chunk)) for chunk in _chunks(members, _capacity(by_width[last], settings))]
    return packs


def _cut(buckets: Sequence[_Bucket], settings: PackSettings, machine: Machine) -> list[tuple[int, int]]:
    """Cut the sorted widths into runs `(first, last)` of least total seconds (dynamic programming over the last cut)."""
    counts = list(itertools.accumulate((len(bucket.trials) for bucket in buckets), initial=0))

    def seconds(first: int, last: int) -> float:
        num_trials = counts[last + 1] - counts[first]
        shape = buckets[last].widest
        assert shape is not None
        num_packs = math.ceil(num_trials / _capacity(buckets[last], settings))
        return num_packs * machine.seconds(shape, 0) + machine.seconds(shape, num_trials) - machine.seconds(shape, 0)

    best = [0.0]
    cuts: list[int] = []
    for last in range(len(buckets)):
        cost, first = min((best[first] + seconds(first, last), first) for first in range(last + 1))
        best.append(cost)
        cuts.append(first)
    runs = []
    last = len(buckets) - 1
    while last >= 0:
        runs.append((cuts[last], last))
        last = cuts[last] - 1
    return runs[::-1]


def _capacity(bucket: _Bucket, settings: PackSettings) -> int:
    assert bucket.widest is not None
    fitting = int(settings.memory_gib * 2**30 // bucket.widest.num_bytes)
    return max(1, min(fitting, settings.max_trials or fitting))


def _chunks(trials: list[Trial], most: int) -> Iterator[list[Trial]]:
    """Split into the fewest chunks of at most `most`, as equal as can be."""
    num_chunks = math.ceil(len(trials) / most)
    bounds = [round(k * len(trials) / num_chunks) for k in range(num_chunks + 1)]
    return (trials[start:stop] for start, stop in itertools.pairwise(bounds))


def estimate(packs: Sequence[Pack], machine: Machine | None = None) -> float:
    """Return the estimated wall seconds of all packs, one after the other."""
    machine = machine or Machine()
    return sum(machine.seconds(pack.widest, len(pack.trials)) for pack in packs)
