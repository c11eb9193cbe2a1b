"""Which trials train together: the cut of a sweep into packs.

Trials whose static leaves agree share a signature. Within a signature the sorted widths are cut into buckets by dynamic
programming, so that compile seconds + padded arithmetic + per-step overhead is least, and a bucket into chunks that fit the
memory budget.
"""

from __future__ import annotations

import bisect
import itertools
import math
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ddlab.config.schema import PackSettings
from ddlab.plan.cost import Cost, Load, load_of
from ddlab.plan.machine import Machine
from ddlab.plan.trials import Trial


@dataclass(frozen=True)
class Pack:
    """Trials trained together by one compiled program, padded to the widest."""

    trials: tuple[Trial, ...]

    @cached_property
    def cost(self) -> Cost:
        """What its trials cost, padded as they are."""
        return max((trial.shape for trial in self.trials), key=lambda shape: shape.width).cost

    @cached_property
    def load(self) -> Load:
        """How much it holds."""
        return load_of([trial.groups for trial in self.trials])

    @property
    def flops(self) -> float:
        """Operations of all its trials."""
        return self.cost.flops(self.load)

    def seconds(self, machine: Machine) -> float:
        """Return how long a machine compiles and runs it."""
        return machine.compile_seconds + self.cost.seconds(self.load, machine)

    def num_bytes(self, machine: Machine, budget: float) -> float:
        """Return the bytes that it takes, where it may take a budget."""
        return self.cost.num_bytes(self.load, machine, budget)


@dataclass
class _Bucket:
    """The trials of one width."""

    trials: list[Trial] = field(default_factory=list)

    @property
    def cost(self) -> Cost:
        return self.trials[0].shape.cost

    @cached_property
    def groups(self) -> list[set[int]]:
        """Its groups, for each sharing of its cost."""
        return [set(shared) for shared in zip(*(trial.groups for trial in self.trials), strict=True)]


def pack_trials(trials: Sequence[Trial], settings: PackSettings, machine: Machine) -> list[Pack]:
    """Pack trials so that the estimated seconds are least, within the memory budget and `max_trials`."""
    by_signature: dict[str, dict[int, _Bucket]] = defaultdict(lambda: defaultdict(_Bucket))
    for trial in trials:
        by_signature[trial.shape.signature][trial.shape.width].trials.append(trial)
    packs = []
    for buckets in by_signature.values():
        by_width = [buckets[width] for width in sorted(buckets)]
        for first, last in _cut(by_width, settings, machine):
            members = [trial for bucket in by_width[first : last + 1] for trial in bucket.trials]
            load = load_of([trial.groups for trial in members])
            packs += [Pack(tuple(chunk)) for chunk in _chunks(members, _most(by_width[last].cost, load, settings, machine))]
    return packs


def over_budget(packs: Sequence[Pack], settings: PackSettings, machine: Machine) -> str | None:
    """Return what is to be said of packs that take more memory than they may, small as they are; None: nothing."""
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


def say_over_budget(packs: Sequence[Pack], settings: PackSettings, machine: Machine) -> None:
    """Say on stderr which packs take more memory than they may."""
    if words := over_budget(packs, settings, machine):
        print(f"ddlab: {words}", file=sys.stderr)


def _cut(buckets: Sequence[_Bucket], settings: PackSettings, machine: Machine) -> list[tuple[int, int]]:
    """Cut the sorted widths into runs `(first, last)` of least total seconds (dynamic programming over the last cut)."""
    again = _places_again(buckets)
    best = [0.0]
    cuts: list[int] = []
    for last in range(len(buckets)):
        cost, first = math.inf, last
        of_last = buckets[last].cost
        num_trials, shared = 0, [0] * len(again)
        for start in range(last, -1, -1):
            num_trials += len(buckets[start].trials)
            for index, places in enumerate(again):
                shared[index] += len(places[start]) - bisect.bisect_right(places[start], last)
            load = Load(num_trials, tuple(shared))
            num_packs = math.ceil(num_trials / _most(of_last, load, settings, machine))
            of_run = num_packs * machine.compile_seconds + of_last.seconds(load, machine)
            if of_run > cost:
                break  # a longer run takes no less
            if best[start] + of_run <= cost:
                cost, first = best[start] + of_run, start
        best.append(cost)
        cuts.append(first)
    runs = []
    last = len(buckets) - 1
    while last >= 0:
        runs.append((cuts[last], last))
        last = cuts[last] - 1
    return runs[::-1]


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


def _most(cost: Cost, load: Load, settings: PackSettings, machine: Machine) -> int:
    """Return how many trials of a load a pack holds at most."""
    fitting = cost.capacity(load, machine, settings.memory)
    return min(fitting, settings.max_trials or fitting)


def _chunks(trials: list[Trial], most: int) -> Iterator[list[Trial]]:
    """Split into the fewest chunks of at most `most`, as equal as can be."""
    num_chunks = math.ceil(len(trials) / most)
    bounds = [round(k * len(trials) / num_chunks) for k in range(num_chunks + 1)]
    return (trials[start:stop] for start, stop in itertools.pairwise(bounds))
