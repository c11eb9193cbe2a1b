"""From the trials of a pack to one that is ready to be solved: dealt to problems, its program compiled."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from ddlab.config.schema import Train
from ddlab.config.trial import Leaves, build, hyper_keys, train_settings, widest
from ddlab.data.loader import Loader, data_config
from ddlab.devices.local import fitting, local_devices, precision
from ddlab.measures.points import eval_steps
from ddlab.measures.size import row_bytes
from ddlab.models.size import size_of
from ddlab.plan.shapes import WIDTH
from ddlab.solving.compiled import CompiledSolver, compile_solver
from ddlab.solving.cost import Portion, Problems, SolvingMemory, problem_keys
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
        problems: [problems, W, L], the trials of each by their index, widths ascending, some repeated so that all have as many;
            problems with the same data side by side.
        solver: the compiled program.
    """

    trial_ids: np.ndarray
    trials: Sequence[Leaves]
    train: Train
    portion: Portion
    problems: np.ndarray
    solver: CompiledSolver


def prepare(trial_ids: np.ndarray, trials: Sequence[Leaves], memory: float, portion: Portion | None = None) -> Prepared:
    """Deal the trials of a pack to problems, load the data of the first and compile the program of all.

    Args:
        trial_ids: [T].
        trials: leaves of each trial.
        memory: bytes that the pack may take.
        portion: what a device solves at once; None: what suits it.

    Raises:
        DoesNotFit: a device has too little memory to compile it.
    """
    train, padded = train_settings(trials[0]), widest(trials)
    spec = Loader().load(trials[:1])[0].spec
    size = size_of(build(padded, "model"), spec)
    row = row_bytes(padded, spec.num_outputs)
    solving = SolvingMemory(size, len(trials), len(eval_steps(train)), row, local_devices(), memory)
    problems = deal(trials, jax.local_device_count(), solving.most_trials)
    portion = portion or solving.portion(Problems(*problems.shape))
    first = [trials[index] for index in problems[0].ravel()]
    with precision(train), fitting(portion):
        example = make_problem(first, Loader().load(first), hyper_keys(padded), len(problems[0]))
        solver = compile_solver(make_solver(padded, spec, portion.evals), example, len(problems), portion.problems)
    return Prepared(trial_ids, trials, train, portion, problems, solver)


def deal(trials: Sequence[Leaves], num_devices: int, most: int | None = None) -> np.ndarray:
    """Return the problems of a pack, [problems, W, L], as `Prepared` has them.

    The widths of one set of inputs are dealt to several problems where that keeps more devices at work or needs less repeating,
    and where one problem would have more than `most` trials.
    """
    most = most or len(trials)
    members: dict[Any, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index, leaves in enumerate(trials):
        members[tuple((key, leaves[key]) for key in problem_keys(leaves))][leaves[WIDTH]].append(index)
    ordered = [members[key] for key in sorted(members, key=lambda key: data_config(dict(key)))]
    groups = [group for by_width in ordered for group in _groups(by_width, most)]
    counts = [len(group) for group in groups]
    most_trials = max(len(indices) for group in groups for indices in group.values())

    def rounds(size: int) -> int:
        """Return the widths that a device solves one after the other; to make the columns takes as long as one of them."""
        return math.ceil(sum(math.ceil(count / size) for count in counts) / num_devices) * (size + 1)

    size = min(range(1, min(max(counts), max(1, most // most_trials)) + 1), key=rounds)
    problems = []
    for group in groups:
        widths = sorted(group)
        for start in range(0, len(widths), size):
            chosen = np.sort(np.resize(widths[start : start + size], size))
            problems.append([np.resize(group[width], most_trials) for width in chosen])
    return np.array(problems)


def _groups(by_width: Mapping[int, Sequence[int]], most: int) -> Iterator[dict[int, Sequence[int]]]:
    """Split the trials of one set of inputs into groups with at most so many at each width."""
    for start in range(0, max(map(len, by_width.values())), most):
        yield {width: indices[start : start + most] for width, indices in by_width.items() if len(indices) > start}
