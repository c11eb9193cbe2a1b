"""Which trials train together: the cost model of a machine, and the cut of a sweep into packs.

Pure Python, no arrays. Trials whose static leaves agree share a signature. Within a signature the sorted widths are cut into
buckets by dynamic programming, so that compile seconds + padded arithmetic + per-step overhead is least, and a bucket into
chunks that fit the memory budget.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ddlab.config import PackSettings
from ddlab.plan import Shape, Trial, step_bytes, tiling
from ddlab.problems import TRIAL_BYTES, Devices, Problems, SolvingMemory

# Of the exact solver: seconds of a trial beside its arithmetic, and what share of the memory the trials that it keeps may take.
EXACT_SECONDS = 5e-4
EXACT_SHARE = 1 / 4


# Copies of what a trial changes, and of data of its own, in the memory of the devices: while a commit copies them.
STATE_COPIES, OWN_DATA_COPIES = 2, 1

# The same where host and devices share a memory: also gathered, in the order of the trials, and on the way to a
# checkpoint; as loaded, slot by slot, and on the devices.
STATE_COPIES_OF_CORES, OWN_DATA_COPIES_OF_CORES = 4, 3

# Segments whose metrics are in memory at once.
SEGMENTS = 2


@dataclass(frozen=True)
class Machine:
    """The cost model: what a pack takes of a machine, from a few numbers that are measured once (`ddlab.machine`).

    A step of a device takes `tile_seconds` for each tile and, for each trial, the seconds that `curve` gives for the
    operations of its step.

    Attributes:
        compile_seconds: of one program.
        tile_seconds: of a step of a tile, whatever it holds.
        curve: (operations of a step of one trial, seconds that it takes of a device), ascending.
        num_devices: local devices.
        working_bytes: of the arrays that a device works on best (`ddlab.devices.working_bytes`).
        cores: the devices are cores of the CPU, which have their memory in common with the host.
    """

    compile_seconds: float
    tile_seconds: float
    curve: tuple[tuple[float, float], ...]
    num_devices: int
    working_bytes: int
    cores: bool

    def trial_seconds(self, step_flops: float) -> float:
        """Return the seconds that a step of one trial takes of a device: on log-log lines between what was measured.

        Below the first measured point it is as slow as there, beyond the last it goes at the rate reached there.
        """
        operations, seconds = zip(*self.curve, strict=True)
        if step_flops >= operations[-1]:
            return seconds[-1] * step_flops / operations[-1]
        index = bisect.bisect_right(operations, step_flops)
        if index == 0:
            return seconds[0]
        (x0, y0), (x1, y1) = self.curve[index - 1], self.curve[index]
        share = math.log(step_flops / x0) / math.log(x1 / x0)
        return y0 * (y1 / y0) ** share

    def run_seconds(self, shape: Shape, num_trials: int) -> float:
        """Return the seconds of training (or solving) and evaluating `num_trials` trials padded to `shape`."""
        of_device = math.ceil(num_trials / self.num_devices)
        if shape.exact:
            operations, seconds = self.curve[-1]
            return of_device * (EXACT_SECONDS + shape.flops * seconds / operations)
        tiles = math.ceil(of_device / self._tile(shape))
        work = shape.flops / shape.step_flops * self.trial_seconds(shape.step_flops)
        return tiles * shape.train.steps * self.tile_seconds + of_device * work

    def seconds(self, shape: Shape, num_trials: int) -> float:
        """Return the seconds of a pack, compilation included."""
        return self.compile_seconds + self.run_seconds(shape, num_trials)

    def num_bytes(self, shape: Shape, num_trials: int, memory: float) -> float:
        """Return the bytes of a pack: its data on each device, what its trials keep, and a step of the tiles at work.

        A pack of the exact solver is taken in portions: as large as they are best, within `memory` bytes.
        """
        if shape.exact:
            return self._solving_bytes(shape, num_trials, memory)
        shared = self.num_devices * shape.data_bytes
        at_work = min(num_trials, self._most_at_work(shape))
        return shared + num_trials * self._trial_bytes(shape) + at_work * step_bytes(shape.size, shape.train)

    def capacity(self, shape: Shape, memory: float) -> int:
        """Return the most trials, at least one, whose pack fits into so many bytes."""
        if shape.exact:
            return max(1, int(EXACT_SHARE * memory / TRIAL_BYTES))
        working = step_bytes(shape.size, shape.train)
        at_work = self._most_at_work(shape)
        memory -= self.num_devices * shape.data_bytes
        of_trial = self._trial_bytes(shape)
        fitting = int(memory // (of_trial + working))
        if fitting >= at_work:
            fitting = int((memory - at_work * working) // of_trial)
        return max(1, fitting)

    def _trial_bytes(self, shape: Shape) -> float:
        """Return the bytes that each trial keeps while its pack is trained."""
        states, data = (STATE_COPIES_OF_CORES, OWN_DATA_COPIES_OF_CORES) if self.cores else (STATE_COPIES, OWN_DATA_COPIES)
        return states * shape.state_bytes + data * shape.own_data_bytes + SEGMENTS * shape.row_bytes

    def _solving_bytes(self, shape: Shape, num_trials: int, memory: float) -> float:
        devices = Devices(self.num_devices, self.working_bytes, self.cores)
        solving = SolvingMemory(shape.size, num_trials, shape.num_evals, shape.row_bytes, devices, memory)
        widths, at_width = shape.of_problem
        at_width = min(at_width, num_trials, solving.most_trials)
        widths = min(widths, math.ceil(num_trials / at_width), max(1, solving.most_trials // at_width))
        if math.ceil(num_trials / (widths * at_width)) < self.num_devices:
            widths = math.ceil(num_trials / (at_width * self.num_devices))
        return solving.num_bytes(Problems(math.ceil(num_trials / (widths * at_width)), widths, at_width))

    def _tile(self, shape: Shape) -> int:
        return tiling(shape.size, shape.train, self.working_bytes)[0]

    def _most_at_work(self, shape: Shape) -> int:
        """Trials that are trained at once, at most: a layout may widen its tiles by a quarter."""
        tile = self._tile(shape)
        return self.num_devices * (tile + tile // 4)


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


@dataclass
class _Bucket:
    trials: list[Trial] = field(default_factory=list)
    widest: Shape | None = None


def pack_trials(trials: Sequence[Trial], settings: PackSettings, machine: Machine) -> list[Pack]:
    """Pack trials so that the estimated seconds are least, within the memory budget and `max_trials`."""
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
            packs += [Pack(tuple(chunk)) for chunk in _chunks(members, _capacity(by_width[last], settings, machine))]
    return packs


def over_budget(packs: Sequence[Pack], settings: PackSettings, machine: Machine) -> str | None:
    """Return what is to be said of packs that take more memory than they may, small as they are; None: nothing."""
    sizes = [machine.num_bytes(pack.widest, len(pack.trials), settings.memory) for pack in packs]
    over = [size for size in sizes if size > settings.memory]
    if not over:
        return None
    most, beyond = (size / 2**20 for size in (max(over), max(over) - settings.memory))
    take = "takes" if len(over) == 1 else "take"
    return (
        f"pack.memory_gib={settings.memory_gib:g}: {len(over):,} of {len(packs):,} packs {take} more,"
        f" up to {most:,.0f} MiB ({beyond:,.0f} MiB too much), with as little at once as can be"
    )


def _cut(buckets: Sequence[_Bucket], settings: PackSettings, machine: Machine) -> list[tuple[int, int]]:
    """Cut the sorted widths into runs `(first, last)` of least total seconds (dynamic programming over the last cut)."""
    counts = list(itertools.accumulate((len(bucket.trials) for bucket in buckets), initial=0))
    capacities = [_capacity(bucket, settings, machine) for bucket in buckets]

    def seconds(first: int, last: int) -> float:
        num_trials = counts[last + 1] - counts[first]
        shape = buckets[last].widest
        assert shape is not None
        num_packs = math.ceil(num_trials / capacities[last])
        return num_packs * machine.compile_seconds + machine.run_seconds(shape, num_trials)

    best = [0.0]
    cuts: list[int] = []
    for last in range(len(buckets)):
        cost, first = math.inf, last
        for start in range(last, -1, -1):
            of_run = seconds(start, last)
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


def _capacity(bucket: _Bucket, settings: PackSettings, machine: Machine) -> int:
    assert bucket.widest is not None
    fitting = machine.capacity(bucket.widest, settings.memory)
    return min(fitting, settings.max_trials or fitting)


def _chunks(trials: list[Trial], most: int) -> Iterator[list[Trial]]:
    """Split into the fewest chunks of at most `most`, as equal as can be."""
    num_chunks = math.ceil(len(trials) / most)
    bounds = [round(k * len(trials) / num_chunks) for k in range(num_chunks + 1)]
    return (trials[start:stop] for start, stop in itertools.pairwise(bounds))
