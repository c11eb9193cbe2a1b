"""From the trials of a pack to one that is ready to be solved: dealt to problems, its program compiled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np

from ddlab.config.schema import Train
from ddlab.config.trial import Leaves, joined, parse
from ddlab.data.loader import Loader
from ddlab.devices.local import fitting, local_devices, precision
from ddlab.measures.points import eval_steps
from ddlab.measures.size import row_bytes
from ddlab.models.size import size_at
from ddlab.solving.compiled import CompiledSolver, compile_solver
from ddlab.solving.cost import Portion, Problems, SolvingMemory
from ddlab.solving.deal import deal
from ddlab.solving.problem import make_problem
from ddlab.solving.solver import make_solver


@dataclass(frozen=True)
class Prepared:
    """A pack that is ready to be solved.

    Attributes:
        trial_ids: [T].
        trials: leaves of each trial.
        train: training settings, the same for all trials but for when they end.
        portion: what a device solves at once.
        problems: [problems, W, L], the trials dealt to each (`ddlab.solving.deal`).
        solver: the compiled program.
    """

    trial_ids: np.ndarray
    trials: Sequence[Leaves]
    train: Train
    portion: Portion
    problems: np.ndarray
    solver: CompiledSolver


def prepare(
    trial_ids: np.ndarray, trials: Sequence[Leaves], memory: float, room: int = 0, portion: Portion | None = None
) -> Prepared:
    """Deal the trials of a pack to problems, load the data of the first and compile the program of all.

    Args:
        trial_ids: [T].
        trials: leaves of each trial.
        memory: bytes that the pack may take.
        room: no matter.
        portion: what a device solves at once; None: what suits it.

    Raises:
        DoesNotFit: a device has too little memory to compile it.
    """
    del room
    leaves = joined(trials)
    config = parse(leaves)
    train, spec = config.train, Loader().load(trials[:1])[0].spec
    size, row = size_at(leaves, spec), row_bytes(config, spec.num_outputs)
    solving = SolvingMemory(size, len(trials), len(eval_steps(train)), row, local_devices(), memory)
    problems = deal(trials, jax.local_device_count(), solving.most_trials)
    portion = portion or solving.portion(Problems(*problems.shape))
    first = [trials[index] for index in problems[0].ravel()]
    with precision(train), fitting(portion):
        example = make_problem(first, Loader().load(first), len(problems[0]))
        solver = compile_solver(make_solver(config, spec, portion.evals), example, len(problems), portion.problems)
    return Prepared(trial_ids, trials, train, portion, problems, solver)
