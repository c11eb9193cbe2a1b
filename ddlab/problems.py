"""What a pack of the exact solver takes of memory, and how much of it is therefore solved at once.

Pure Python, no arrays. A *problem* is as in `ddlab.exact`: W widths, L trials at each, E eval points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from ddlab.plan import MOST_EXAMPLES, Size
from ddlab.rows import most_waiting

# What a device is handed at once, in units of what it works on best.
PROBLEMS_OF_WORK = 8

# Copies of a problem's inputs: as made, side by side with the others, on the device. Of its metrics: as found, those of the call
# before in the order of the trials, and as rows. Of the rows of a part: as they wait, and as a file.
INPUT_COPIES, METRIC_COPIES, ROW_COPIES = 3, 4, 3

# Bytes that a trial of the pack keeps on the host: its config, its place in a problem, its outcome.
TRIAL_BYTES = 4000.0

# Bytes of a row beside its metrics: its step, and where the trial's id is.
KEY_BYTES = 32


class Devices(NamedTuple):
    """The local devices.

    Attributes:
        number: how many there are.
        working_bytes: of the arrays that one works on best.
        cores: they are cores of the CPU: each solves one problem after the other, not all that it is handed together.
    """

    number: int
    working_bytes: int
    cores: bool


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
