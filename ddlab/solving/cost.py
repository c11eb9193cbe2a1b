"""What it costs to solve trials in closed form: operations, seconds and bytes, and how much is therefore solved at once.

A *problem* is as in `ddlab.solving.problem`: W widths, L trials at each, E eval points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from ddlab.config.schema import Science
from ddlab.config.trial import Leaves, declarations
from ddlab.devices.layout import MOST_EXAMPLES
from ddlab.devices.local import Devices
from ddlab.measures.size import row_bytes
from ddlab.plan.cost import Cost, Load, Sharing
from ddlab.plan.machine import Machine
from ddlab.plan.shapes import WIDTH, Size
from ddlab.store.rows import most_waiting

# An eigendecomposition of n x n numbers, in n^3 operations. How many operations in float32, the speed of which is known, take as
# long as one in float64: of a product, of a decomposition.
EIGEN_FLOPS = 9.0
PRODUCT_SLOWNESS, EIGEN_SLOWNESS = 2.0, 2.7

# What its program takes to compile, of those with which the same network is trained and measured.
PROGRAM_SHARE = 0.4

# Seconds of the host: to begin and end a pack, for each problem, for each number of its inputs that it draws and hashes, and for
# each trial.
PACK_SECONDS, PROBLEM_SECONDS, NUMBER_SECONDS, TRIAL_SECONDS = 0.2, 1.5e-3, 5e-8, 3.5e-4

# What share of the memory the trials that a pack keeps may take.
TRIALS_SHARE = 1 / 4

# What a device is handed at once, in units of what it works on best.
PROBLEMS_OF_WORK = 8

# Copies of a problem's inputs: as made, side by side with the others, on the device. Of its metrics: as found, those of the call
# before in the order of the trials, and as rows. Of the rows of a part: as they wait, and as a file.
INPUT_COPIES, METRIC_COPIES, ROW_COPIES = 3, 4, 3

# Bytes that a trial of the pack keeps on the host: its config, its place in a problem, its outcome.
TRIAL_BYTES = 4000.0

# Bytes of a row beside its metrics: its step, and where the trial's id is.
KEY_BYTES = 32


class Portion(NamedTuple):
    """How much of a pack is solved at once.

    Attributes:
        problems: that each device is handed.
        evals: eval points of a trial that are evaluated together.
    """

    problems: int
    evals: int

    def smaller(self) -> tuple[Portion, str] | None:
        """Return half of it and what is said of that; None where nothing is left to halve."""
        if self.problems > 1:
            return self._replace(problems=self.problems // 2), f"{self.problems // 2} problems at once (were {self.problems})"
        if self.evals > 1:
            return self._replace(evals=self.evals // 2), f"{self.evals // 2} eval points at once (were {self.evals})"
        return None


class Problems(NamedTuple):
    """How the trials of a pack are dealt.

    Attributes:
        number: problems.
        widths: W of each.
        trials: L of each.
    """

    number: int
    widths: int
    trials: int


def problem_keys(leaves: Leaves) -> Sharing:
    """Return the leaves that the trials of one problem agree in: those of the inputs, and of the draw of the model."""
    own = {WIDTH, "seed", "batch_seed", *(key for key, declared in declarations(leaves).items() if declared.targets)}
    return tuple(key for key in leaves if key not in own and not key.startswith("optimizer."))


def solving_cost(leaves: Leaves, config: Science, size: Size) -> SolvingCost:
    """Return what trials of a shape cost; config: its leaves, parsed."""
    problem = problem_keys(leaves)
    row = row_bytes(config, size.num_outputs)
    along_modes = any(measure.needs_spectrum for measure in config.measures.values())
    return SolvingCost(size, config.train.most_evals, along_modes, row, (problem, (*problem, WIDTH)))


@dataclass(frozen=True)
class SolvingCost(Cost):
    """Of trials that are padded to one width.

    Attributes:
        size: of the widest.
        num_evals: eval points of a trial.
        along_modes: measures ask for the test features along the modes.
        row_bytes: of the metrics of a trial at one eval point.
        sharing: the leaves of a problem, and of a problem at one width.
    """

    size: Size
    num_evals: int
    along_modes: bool
    row_bytes: float
    sharing: tuple[Sharing, ...]

    def program_seconds(self, machine: Machine) -> float:
        return PROGRAM_SHARE * machine.program_seconds(self.size.num_operations)

    def flops(self, load: Load) -> float:
        return sum(self._flops(load))

    def _flops(self, load: Load) -> tuple[float, float]:
        """Return the operations of the products for features, their inner products and metrics, and of the decompositions."""
        problems, decompositions = load.shared
        size = self.size
        width, examples = size.num_params // size.num_outputs, size.num_train + size.num_test
        modes = min(size.num_train, width)
        of_problem = 2.0 * size.num_products * examples + 2.0 * size.num_train * width * modes
        of_width = 2.0 * size.num_train * modes**2 + (2.0 * size.num_test * width * modes if self.along_modes else 0.0)
        of_eval = 2.0 * size.num_params * (examples + 2 * size.num_train)
        products = problems * of_problem + decompositions * of_width + load.trials * self.num_evals * of_eval
        return products, decompositions * EIGEN_FLOPS * modes**3

    def seconds(self, load: Load, machine: Machine) -> float:
        products, decompositions = self._flops(load)
        flops = PRODUCT_SLOWNESS * products + EIGEN_SLOWNESS * decompositions
        of_problem = PROBLEM_SECONDS + NUMBER_SECONDS * self.size.num_inputs * (self.size.num_train + self.size.num_test)
        of_host = PACK_SECONDS + load.shared[0] * of_problem + load.trials * TRIAL_SECONDS
        return of_host + machine.bulk_seconds(flops) / min(load.trials, machine.num_devices)

    def num_bytes(self, load: Load, machine: Machine, budget: float) -> float:
        devices = Devices(machine.num_devices, machine.working_bytes, machine.cores)
        memory = SolvingMemory(self.size, load.trials, self.num_evals, self.row_bytes, devices, budget)
        return memory.num_bytes(_dealt(load, machine.num_devices, memory.most_trials))

    def capacity(self, load: Load, machine: Machine, budget: float) -> int:
        del load, machine
        return max(1, int(TRIALS_SHARE * budget / TRIAL_BYTES))


def _dealt(load: Load, num_devices: int, most_trials: int) -> Problems:
    """Return about how a load is dealt to problems of at most so many trials: more of them where devices would be idle."""
    problems, decompositions = load.shared
    at_width = min(math.ceil(load.trials / decompositions), most_trials)
    widths = min(math.ceil(decompositions / problems), math.ceil(load.trials / at_width), max(1, most_trials // at_width))
    if math.ceil(load.trials / (widths * at_width)) < num_devices:
        widths = math.ceil(load.trials / (at_width * num_devices))
    return Problems(math.ceil(load.trials / (widths * at_width)), widths, at_width)


@dataclass(frozen=True)
class SolvingMemory:
    """The memory of a pack of the exact solver.

    Attributes:
        size: of its widest trial.
        num_trials: of the pack.
        num_evals: E.
        row_bytes: of the metrics of one trial at one eval point.
        devices: that solve it.
        budget: bytes that the pack may take.
    """

    size: Size
    num_trials: int
    num_evals: int
    row_bytes: float
    devices: Devices
    budget: float

    def num_bytes(self, problems: Problems) -> float:
        """Return the bytes of the pack while it is solved in portions, at the most."""
        portion = self.portion(problems)
        at_once = portion.problems * self._of_problem(problems, portion.evals)
        return self._kept + self.devices.number * (at_once + self._in_turn(problems, portion.evals))

    @property
    def most_trials(self) -> int:
        """The most trials W L of a problem, so that the metrics of one problem for each device take half of what is left."""
        of_trial = METRIC_COPIES * self.num_evals * self.row_bytes
        return max(1, int(self._left / 2 / (self.devices.number * of_trial)))

    def portion(self, problems: Problems) -> Portion:
        """Return how much is solved at once: what keeps a device busy, where memory does for it."""
        of_eval = problems.trials * eval_bytes(self.size)
        evals = min(self.num_evals, max(1, int(self._left / 4 / (self.devices.number * of_eval))))
        left = self._left / self.devices.number - self._in_turn(problems, evals)
        fitting = int(left / self._of_problem(problems, evals))
        # A CPU device reports only after its last problem: there each width counts, so that progress is seen.
        work = problem_bytes(self.size) * (problems.widths if self.devices.cores else 1)
        of_device = max(1, min(fitting, int(PROBLEMS_OF_WORK * self.devices.working_bytes / work)))
        num_calls = math.ceil(problems.number / (of_device * self.devices.number))
        return Portion(math.ceil(problems.number / (num_calls * self.devices.number)), evals)

    @property
    def _kept(self) -> float:
        """Bytes of what does not depend on how much is solved at once: the trials, and rows that wait."""
        rows = self.num_trials * self.num_evals * (self.row_bytes + KEY_BYTES)
        return self.num_trials * TRIAL_BYTES + ROW_COPIES * min(most_waiting(self.budget), rows)

    @property
    def _left(self) -> float:
        return max(0.0, self.budget - self._kept)

    def _of_problem(self, problems: Problems, evals: int) -> float:
        """Return the bytes of each problem that a device is handed."""
        trials = problems.widths * problems.trials
        passing = INPUT_COPIES * input_bytes(self.size, trials) + METRIC_COPIES * trials * self.num_evals * self.row_bytes
        return passing if self.devices.cores else passing + self._at_work(problems, evals)

    def _in_turn(self, problems: Problems, evals: int) -> float:
        """Return the bytes of the one problem that a device is at, where it takes one after the other."""
        return self._at_work(problems, evals) if self.devices.cores else 0.0

    def _at_work(self, problems: Problems, evals: int) -> float:
        """Return the bytes of a problem that is being solved: of its decomposition, then of the evaluation at one width."""
        return problem_bytes(self.size) + problems.trials * evals * eval_bytes(self.size)


def input_bytes(size: Size, trials: int) -> float:
    """Return the bytes of the inputs of a problem and of the targets of its trials."""
    return 8.0 * (size.num_train + size.num_test) * (size.num_inputs + trials * size.num_outputs)


def problem_bytes(size: Size) -> float:
    """Return the bytes of one problem at work: inputs, columns, inner products, and the decomposition at one width."""
    width = size.num_params // size.num_outputs
    examples, modes = size.num_train + size.num_test, min(size.num_train, width)
    of_decomposition = 2 * size.num_train * width + modes * (size.num_train + width + 2 * modes)
    return 8.0 * (examples * (size.num_inputs + 2 * width) + of_decomposition)


def eval_bytes(size: Size) -> float:
    """Return the bytes at work for one trial at one eval point: its solution along the modes and the features, its outputs."""
    width = size.num_params // size.num_outputs
    examples = min(size.num_train, MOST_EXAMPLES) + min(size.num_test, MOST_EXAMPLES)
    return 8.0 * size.num_outputs * (2 * width + 2 * min(size.num_train, width) + examples)
