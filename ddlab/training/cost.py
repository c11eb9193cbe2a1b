"""What it costs to train trials: operations, seconds and bytes, and how many of them a device trains at once."""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass

from ddlab.config.declare import Mark
from ddlab.config.schema import Science, Train
from ddlab.config.trial import Leaves, declarations
from ddlab.devices.layout import LEAST_EXAMPLES, MOST_EXAMPLES
from ddlab.measures.evaluate import along_path, needs_before
from ddlab.measures.points import due_steps
from ddlab.measures.size import row_bytes
from ddlab.plan.cost import Cost, Load, Sharing
from ddlab.plan.machine import Machine
from ddlab.plan.shapes import Size

# A step of a single wide network takes as long as that of two: XLA's CPU product for its first layer's gradient is a slow one.
LEAST_TILE = 2

# What it takes to look up an entry of a table, and to add its gradient to the table, in multiply-adds: memory, not arithmetic.
LOOKUP_PRODUCTS = 40

# Copies of what a trial changes in the memory of the devices: while a commit copies it. Where host and devices share a memory
# also gathered, in the order of the trials, and on the way to a checkpoint.
STATE_COPIES, STATE_COPIES_OF_CORES = 2, 4

# Copies of a data set on the host where it shares its memory with the devices, each of which has one: as loaded, and pooled.
DATA_COPIES_OF_CORES = 2

# Segments whose metrics are in memory at once.
SEGMENTS = 2


def training_cost(leaves: Leaves, config: Science, size: Size) -> TrainingCost:
    """Return what trials of a shape cost; config: its leaves, parsed."""
    declared = declarations(leaves)
    data = tuple(key for key in leaves if key.startswith("data.") and declared[key].mark is not Mark.PLACE)
    inputs = tuple(key for key in data if not declared[key].targets)
    taught = tuple(key for key in leaves if key.startswith("train.teacher.") and declared[key].mark is Mark.HOST)
    sharing = (inputs, data, *([(*data, *taught)] if taught else []))
    evals = config.train.most_evals
    gradients = (math.ceil(evals / measure.every) for measure in config.measures.values() if measure.needs_gradient)
    row = row_bytes(config, size.num_outputs)
    entries = max((measure.num_entries(size.num_units) for measure in config.measures.values()), default=0)
    per_step = config.optimizer.gradients_per_step
    kept = sum(len(due_steps(config.train, every)) for every in along_path(config.measures)) + needs_before(config.measures)
    return TrainingCost(size, config.train, per_step, max(gradients, default=0), kept, entries, row, sharing)


@dataclass(frozen=True)
class TrainingCost(Cost):
    """Of trials that are padded to one size.

    Attributes:
        size: of the widest.
        train: their training settings.
        gradients_per_step: of the optimizer and its modifiers.
        num_gradients: eval points at which a measure asks for the gradient on the training set.
        num_kept: eval points whose parameters are kept, for measures along the path and of what has changed.
        num_measured: entries that a measure of a trial has in memory.
        row_bytes: of the metrics of a trial at one eval point.
        sharing: the leaves of the inputs, of the whole data set, and of what a teacher gives for it where there is one.
    """

    size: Size
    train: Train
    gradients_per_step: int
    num_gradients: int
    num_kept: int
    num_measured: int
    row_bytes: float
    sharing: tuple[Sharing, ...]

    @property
    def may_stop(self) -> bool:
        return self.train.stop_metric is not None

    def program_seconds(self, machine: Machine) -> float:
        return machine.program_seconds(self.size.num_operations)

    def flops(self, load: Load) -> float:
        return self._flops(load, None)

    def _flops(self, load: Load, chunk: int | None) -> float:
        """Return the operations of steps, of evaluation, and of the gradients that measures ask for.

        Args:
            load: of a pack.
            chunk: examples that go through a network at once; None: all that there are.
        """
        trained, evaluated = (self._products(rows / load.trials, chunk) * load.trials for rows in self._rows(load, chunk))
        measured = 2.0 * self.train.most_evals * (trained + evaluated) + 6.0 * self.num_gradients * trained
        return self.train.steps * load.trials * self.step_flops(load, chunk) + measured

    def _products(self, examples: float, chunk: int | None) -> float:
        """Return the multiply-adds with which so many examples go through a network."""
        passes = math.ceil(examples / chunk) if chunk else 1
        return self.size.num_products * examples + self.size.num_shared * passes

    def seconds(self, load: Load, machine: Machine) -> float:
        trials_per_device = math.ceil(load.trials / machine.num_devices)
        tile, chunk = self.tiling(machine.working_bytes)
        tiles = math.ceil(trials_per_device / tile)
        step = self.step_flops(load, chunk)
        steps = self._flops(load, chunk) / load.trials / step
        work = step * (1 + LOOKUP_PRODUCTS * self.size.num_lookups / self.size.num_products)
        return tiles * self.train.steps * machine.tile_seconds + trials_per_device * steps * machine.trial_seconds(work)

    def step_flops(self, load: Load, chunk: int | None) -> float:
        """Return the operations of a step of a trial, on average: 2 for each multiply-add forward, 4 backward."""
        examples = self.train.batch_size or self._rows(load, chunk)[0] / load.trials
        return 6.0 * self.gradients_per_step * self._products(examples, chunk)

    def _rows(self, load: Load, chunk: int | None) -> tuple[float, float]:
        """Return how many examples go through networks in training and in evaluation: those of all trials, in whole chunks.

        A tile takes as many as its largest trial needs; trials of about as many examples lie in one.
        """

        def rows(own: int, padded: int) -> float:
            most = float(load.trials * padded)
            if chunk is None:
                return own
            return most if padded <= chunk else min(most, own + load.trials * (chunk - 1) / 2)

        trained, evaluated = map(rows, load.examples, self.size.examples)
        return trained, evaluated

    def num_bytes(self, load: Load, machine: Machine, budget: float) -> float:
        """Return the bytes of the data on each device, of what trials keep, and of a step and a measure of the tiles at work."""
        del budget  # tiles are as small as is best
        at_work = min(load.trials, self.at_work(machine))
        working = self.step_bytes + self.train.itemsize * self.num_measured
        return self._data_bytes(load, machine) + load.trials * self._trial_bytes(machine) + at_work * working

    def capacity(self, load: Load, machine: Machine, budget: float) -> int:
        def fits(trials: int) -> bool:
            # Each of them may have a data set of its own, as long as there are as many.
            part = Load(trials, tuple(min(groups, trials) for groups in load.shared), load.examples)
            return self.num_bytes(part, machine, budget) <= budget

        # The largest number that fits: bisection over 1, ..., all.
        return max(1, bisect.bisect_left(range(1, load.trials + 1), True, key=lambda trials: not fits(trials)))

    @property
    def step_bytes(self) -> float:
        """Bytes that a step of one trial goes through: parameters, gradient, two moments, and activations.

        Activations: an example's inputs, and for each number that a layer gives its input, its output and the gradient of it.
        """
        examples = min(self.train.batch_size or self.size.num_train, MOST_EXAMPLES)
        activations = self.size.num_inputs + 3.0 * self.size.num_activations
        return self.train.itemsize * (4.0 * self.size.num_params + examples * activations)

    def tiling(self, working_bytes: int) -> tuple[int, int]:
        """Return how many trials a device trains at once, and how many examples go through a network at once.

        The arrays of a step may take `working_bytes`, one layer of one of its chunks half of that.

        Args:
            working_bytes: of the arrays that a device works on best.
        """
        tile = max(LEAST_TILE, int(working_bytes / self.step_bytes))
        chunk = int(working_bytes / (2 * tile * self.train.itemsize * self.size.num_activations))
        return tile, min(max(chunk, LEAST_EXAMPLES), MOST_EXAMPLES)

    def _data_bytes(self, load: Load, machine: Machine) -> float:
        """Return the bytes of the data, as many sets as differ.

        Of the inputs, of the targets and of these without noise, and of what a teacher gives.
        """
        copies = machine.num_devices + (DATA_COPIES_OF_CORES if machine.cores else 0)
        each = (self.size.num_inputs, 2, self.size.num_outputs)[: len(load.shared)]
        numbers = sum(number * sets for number, sets in zip(each, load.shared, strict=True))
        return copies * self.train.itemsize * float(self.size.num_train + self.size.num_test) * numbers

    def _trial_bytes(self, machine: Machine) -> float:
        """Return the bytes that each trial keeps while its pack is trained: parameters, two moments, the path, metrics."""
        states = STATE_COPIES_OF_CORES if machine.cores else STATE_COPIES
        return states * self.train.itemsize * (3.0 + self.num_kept) * self.size.num_params + SEGMENTS * self.row_bytes

    def at_work(self, machine: Machine) -> int:
        """Return how many trials are trained at once, at most: a layout may widen its tiles by a quarter."""
        tile = self.tiling(machine.working_bytes)[0]
        return machine.num_devices * (tile + tile // 4)
