"""Which trials train together: the cut of a sweep into packs.

Trials whose static leaves agree share a signature: one program can train them, padded in each size to the largest of them. Within
a signature those of equal sizes make a bucket. The buckets, from cheap to dear, are cut into runs by dynamic programming, so that
compile seconds + padded arithmetic + per-step overhead is least, and a run into chunks that fit the memory budget.
"""

from __future__ import annotations

import bisect
import itertools
import math
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from ddlab.config.components import TARGET
from ddlab.config.schema import PackSettings
from ddlab.plan.cost import Cost, Load, load_of
from ddlab.plan.machine import Machine
from ddlab.plan.shapes import Shape
from ddlab.plan.trial import Trial


@dataclass(frozen=True)
class Packing:
    """How trials are packed.

    Attributes:
        settings: of the user.
        machine: that runs the packs.
        join: what the trials of some shapes cost, padded in each size to the largest of them.
    """

    settings: PackSettings
    machine: Machine
    join: Callable[[Sequence[Shape]], Cost]


@dataclass(frozen=True)
class Pack:
    """Trials trained together by one compiled program.

    Attributes:
        trials: of it, the cheap ones first.
        cost: of them, padded as they are.
        room: trials that its program has room for: packs of several levels that are alike share one program.
    """

    trials: tuple[Trial, ...]
    cost: Cost
    room: int = 0

    @cached_property
    def load(self) -> Load:
        """How much it holds."""
        return load_of([trial.groups for trial in self.trials], [trial.shape.size.examples for trial in self.trials])

    @property
    def level(self) -> int:
        """Of its trials."""
        return self.trials[0].level

    @cached_property
    def program(self) -> tuple[Any, ...]:
        """Equal for packs that one compiled program runs: only where some weights do not live, it must know which."""
        is_masked = any(f"start.mask.{TARGET}" in trial.shape.leaves for trial in self.trials)
        return (self.trials[0].shape.signature, self.sizes, self.room, is_masked)

    @cached_property
    def sizes(self) -> tuple[float, ...]:
        """What its trials are padded to."""
        return tuple(map(max, zip(*(trial.shape.sizes for trial in self.trials), strict=True)))

    @property
    def flops(self) -> float:
        """Operations of all its trials."""
        return self.cost.flops(self.load)

    def seconds(self, machine: Machine) -> float:
        """Return how long a machine compiles and runs it."""
        return self.cost.program_seconds(machine) + self.cost.seconds(self.load, machine)

    def num_bytes(self, machine: Machine, budget: float) -> float:
        """Return the bytes that it takes, where it may take a budget."""
        return self.cost.num_bytes(self.load, machine, budget)


@dataclass
class _Bucket:
    """The trials of equal sizes."""

    trials: list[Trial] = field(default_factory=list)

    @property
    def shape(self) -> Shape:
        """The shape of one of them."""
        return self.trials[0].shape

    @cached_property
    def load(self) -> Load:
        return Pack(tuple(self.trials), self.shape.cost).load

    @cached_property
    def groups(self) -> list[set[int]]:
        """Its groups, for each sharing of its cost."""
        return [set(shared) for shared in zip(*(trial.groups for trial in self.trials), strict=True)]

    @property
    def dearness(self) -> tuple[float, ...]:
        """What buckets are sorted by: the operations of a trial alone, then its sizes."""
        alone = Pack(tuple(self.trials[:1]), self.shape.cost)
        return (alone.flops, *self.shape.sizes)


class _Joined:
    """What the trials of runs of buckets cost, padded in each size to the largest of a run; joined once for equal sizes."""

    def __init__(self, buckets: Sequence[_Bucket], join: Callable[[Sequence[Shape]], Cost]):
        self._shapes, self._join = [bucket.shape for bucket in buckets], join
        self._known = {shape.sizes: shape.cost for shape in self._shapes}

    def cost(self, first: int, last: int, sizes: tuple[float, ...]) -> Cost:
        """Return the cost of a run; sizes: the largest in it."""
        if sizes not in self._known:
            self._known[sizes] = self._join(self._shapes[first : last + 1])
        return self._known[sizes]


def pack_trials(trials: Sequence[Trial], packing: Packing) -> list[Pack]:
    """Pack trials so that the estimated seconds are least, within the memory budget and `max_trials`."""
    by_signature: dict[tuple[int, str], dict[tuple[float, ...], _Bucket]] = defaultdict(lambda: defaultdict(_Bucket))
    for trial in trials:
        by_signature[trial.level, trial.shape.signature][trial.shape.sizes].trials.append(trial)
    packs = []
    for level_and_signature in sorted(by_signature, key=lambda key: key[0]):
        buckets = sorted(by_signature[level_and_signature].values(), key=lambda bucket: bucket.dearness)
        for first, last, cost in _cut(buckets, packing):
            run = Pack(tuple(trial for bucket in buckets[first : last + 1] for trial in bucket.trials), cost)
            packs += [Pack(tuple(chunk), cost) for chunk in _chunks(run.trials, _most(cost, run.load, packing))]
    return _with_room(packs)


def _with_room(packs: Sequence[Pack]) -> list[Pack]:
    """Return packs with as much room as the largest of those which differ in their trials and levels alone."""
    most: dict[tuple[Any, ...], int] = defaultdict(int)
    alike = [(pack.trials[0].shape.signature, pack.sizes) for pack in packs]
    for key, pack in zip(alike, packs, strict=True):
        most[key] = max(most[key], len(pack.trials))
    lineage = any(pack.trials[0].level for pack in packs)
    return [replace(pack, room=most[key] if lineage else len(pack.trials)) for key, pack in zip(alike, packs, strict=True)]


def pack_of(trials: Sequence[Trial], packing: Packing) -> Pack:
    """Return the pack of some trials that one program can run."""
    return Pack(tuple(trials), packing.join([trial.shape for trial in trials]), len(trials))


def over_budget(packs: Sequence[Pack], packing: Packing) -> str | None:
    """Return what is to be said of packs that take more memory than they may, small as they are; None: nothing."""
    settings, machine = packing.settings, packing.machine
    sizes = [pack.num_bytes(machine, settings.memory) for pack in packs]
    over = [size for size in sizes if size > settings.memory]
    if not over:
        return None
    most, beyond = (size / 2**20 for size in (max(over), max(over) - settings.memory))
    take = "takes" if len(over) == 1 else "take"
    return (
        f"pack.memory_gib={settings.memory_gib:g}: {len(over):,} of {len(packs):,} packs {take} more,"
        f" up to {most:,.0f} MiB ({beyond:,.0f} MiB too much), with as little at once as can be"
    )


def say_over_budget(packs: Sequence[Pack], packing: Packing) -> None:
    """Say on stderr which packs take more memory than they may."""
    if words := over_budget(packs, packing):
        print(f"ddlab: {words}", file=sys.stderr)


def _cut(buckets: Sequence[_Bucket], packing: Packing) -> list[tuple[int, int, Cost]]:
    """Cut the sorted buckets into runs (first, last, cost) of least total seconds (dynamic programming over the last cut)."""
    again, joined = _places_again(buckets), _Joined(buckets, packing.join)
    best = [0.0]
    cuts: list[tuple[int, Cost]] = []
    for last in range(len(buckets)):
        seconds, cut = math.inf, (last, buckets[last].shape.cost)
        sizes, load = buckets[last].shape.sizes, Load(0, (0,) * len(again), (0, 0))
        for first in range(last, -1, -1):
            sizes = tuple(map(max, sizes, buckets[first].shape.sizes))
            cost, load = joined.cost(first, last, sizes), _longer(load, first, last, buckets, again)
            num_packs = math.ceil(load.trials / _most(cost, load, packing))
            of_run = num_packs * cost.program_seconds(packing.machine) + cost.seconds(load, packing.machine)
            if of_run > seconds:
                break  # a longer run takes no less
            if best[first] + of_run <= seconds:
                seconds, cut = best[first] + of_run, (first, cost)
        best.append(seconds)
        cuts.append(cut)
    runs = []
    last = len(buckets) - 1
    while last >= 0:
        first, cost = cuts[last]
        runs.append((first, last, cost))
        last = first - 1
    return runs[::-1]


def _longer(load: Load, first: int, last: int, buckets: Sequence[_Bucket], again: Sequence[Sequence[Sequence[float]]]) -> Load:
    """Return the load of the run first..last, given that of the run that begins a bucket later; again: as `_places_again`."""
    trials, _, (trained, evaluated) = buckets[first].load
    new = [len(places[first]) - bisect.bisect_right(places[first], last) for places in again]
    shared = tuple(before + more for before, more in zip(load.shared, new, strict=True))
    return Load(load.trials + trials, shared, (load.examples[0] + trained, load.examples[1] + evaluated))


def _places_again(buckets: Sequence[_Bucket]) -> list[list[list[float]]]:
    """Return for each sharing and each bucket in which later bucket each of its groups comes again, ascending; infinity: in none.

    A run of buckets has as many groups as there are that do not come again within it.
    """
    places: list[list[list[float]]] = []
    for index in range(len(buckets[0].groups)):
        seen: dict[int, float] = {}
        of_buckets: list[list[float]] = []
        for number in range(len(buckets) - 1, -1, -1):
            groups = buckets[number].groups[index]
            of_buckets.append(sorted(seen.get(group, math.inf) for group in groups))
            seen.update(dict.fromkeys(groups, number))
        places.append(of_buckets[::-1])
    return places


def _most(cost: Cost, load: Load, packing: Packing) -> int:
    """Return how many trials of a load a pack holds at most."""
    fitting = cost.capacity(load, packing.machine, packing.settings.memory)
    return min(fitting, packing.settings.max_trials or fitting)


def _chunks(trials: Sequence[Trial], most: int) -> Iterator[Sequence[Trial]]:
    """Split into the fewest chunks of at most `most`, as equal as can be."""
    num_chunks = math.ceil(len(trials) / most)
    bounds = [round(k * len(trials) / num_chunks) for k in range(num_chunks + 1)]
    return (trials[start:stop] for start, stop in itertools.pairwise(bounds))
