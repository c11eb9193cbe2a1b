"""From a planned pack to one that is ready to run: its data loaded, its program compiled."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
import pandas as pd

from ddlab.config import Leaves, Train, build, hyper_keys, load_leaves, train_settings, width_key
from ddlab.data import Dataset, load
from ddlab.devices import Compiled, CompiledSolver, compile_pack, compile_solver, fitting, local_devices, working_bytes
from ddlab.exact import make_problem, make_solver
from ddlab.layout import Layout, Tiles
from ddlab.losses import untrained_loss
from ddlab.models import size_of
from ddlab.plan import WIDTH, is_exact, row_bytes, shared_by_problem, tiling
from ddlab.problems import Portion, Problems, SolvingMemory
from ddlab.schedules import eval_steps
from ddlab.train import make_inputs, make_program


@dataclass(frozen=True)
class Prepared:
    """A pack that is ready to run.

    Attributes:
        trial_ids: [T].
        train: training settings, the same for all trials.
        portion: what a device trains at once.
        checksums: of each trial's data.
        untrained_losses: of each trial, as `ddlab.outcome.Outcomes` takes them.
        compiled: the program and its inputs.
    """

    trial_ids: np.ndarray
    train: Train
    portion: Tiles
    checksums: Sequence[str]
    untrained_losses: Sequence[float]
    compiled: Compiled


@contextmanager
def precision(train: Train) -> Iterator[None]:
    """The context in which a pack is traced and run; JAX keeps it for each thread."""
    with jax.enable_x64(train.dtype == "float64"), jax.default_matmul_precision(train.matmul_precision):
        yield


@dataclass(frozen=True)
class PreparedSolver:
    """A pack of the exact solver that is ready to run.

    Attributes:
        trial_ids: [T].
        trials: leaves of each trial.
        train: training settings, the same for all trials.
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


def prepare_pack(rows: pd.DataFrame, memory: float, portion: Tiles | Portion | None = None) -> Prepared | PreparedSolver:
    """Load the data of a pack, or the first of it, and compile its program.

    Args:
        rows: of the plan, one for each trial.
        memory: bytes that the pack may take.
        portion: what a device is given at once; None: what suits it.

    Raises:
        DoesNotFit: a device has too little memory to compile it.
    """
    trial_ids = np.array(rows["trial_id"], object)
    trials = [load_leaves(config) for config in rows["config"]]
    if is_exact(trials[0]):
        assert not isinstance(portion, Tiles)
        return _prepare_solver(trial_ids, trials, memory, portion)
    assert not isinstance(portion, Portion)
    return _prepare_training(trial_ids, trials, portion)


def _prepare_training(trial_ids: np.ndarray, trials: Sequence[Leaves], portion: Tiles | None) -> Prepared:
    train, widest = train_settings(trials[0]), _widest(trials)
    datasets = Loader().load(trials)
    spec = datasets[0].spec
    wanted = portion or Tiles(*tiling(size_of(build(widest, "model"), spec), train, working_bytes()))
    tile = Layout.of(len(trials), wanted.trials).tile
    portion = Tiles(tile, min(wanted.examples, max(spec.num_train, spec.num_test)))
    with precision(train), fitting(portion):
        program = make_program(widest, datasets[0], wanted.examples)
        compiled = compile_pack(program, make_inputs(trials, datasets), len(trials), wanted.trials)
    checksums = [dataset.checksum for dataset in datasets]
    return Prepared(trial_ids, train, portion, checksums, untrained_losses(train, datasets), compiled)


def untrained_losses(train: Train, datasets: Sequence[Dataset]) -> list[float]:
    """Return what a model without training loses on each training set, [T]; trials that share one share the work."""
    distinct = {id(dataset): dataset for dataset in datasets}
    losses = {key: untrained_loss(train.loss, data.train_targets, data.num_outputs) for key, data in distinct.items()}
    return [losses[id(dataset)] for dataset in datasets]


def _prepare_solver(trial_ids: np.ndarray, trials: Sequence[Leaves], memory: float, portion: Portion | None) -> PreparedSolver:
    train, widest = train_settings(trials[0]), _widest(trials)
    spec = Loader().load(trials[:1])[0].spec
    size = size_of(build(widest, "model"), spec)
    row = row_bytes(widest, spec.num_outputs)
    solving = SolvingMemory(size, len(trials), len(eval_steps(train)), row, local_devices(), memory)
    problems = deal(trials, jax.local_device_count(), solving.most_trials)
    portion = portion or solving.portion(Problems(*problems.shape))
    first = [trials[index] for index in problems[0].ravel()]
    with precision(train), fitting(portion):
        example = make_problem(first, Loader().load(first), hyper_keys(widest), len(problems[0]))
        solver = compile_solver(make_solver(widest, spec, portion.evals), example, len(problems), portion.problems)
    return PreparedSolver(trial_ids, trials, train, portion, problems, solver)


def deal(trials: Sequence[Leaves], num_devices: int, most: int | None = None) -> np.ndarray:
    """Return the problems of a pack, [problems, W, L], as `PreparedSolver` has them.

    The widths of one set of inputs are dealt to several problems where that keeps more devices at work or needs less repeating,
    and where one problem would have more than `most` trials.
    """
    most = most or len(trials)
    members: dict[Any, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index, leaves in enumerate(trials):
        members[tuple(shared_by_problem(leaves).items())][leaves[WIDTH]].append(index)
    ordered = [members[key] for key in sorted(members, key=lambda key: _data_of(dict(key)))]
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


def _widest(trials: Sequence[Leaves]) -> Leaves:
    width = width_key(trials[0])
    return max(trials, key=lambda leaves: leaves[width]) if width else trials[0]


def _data_of(leaves: Leaves) -> str:
    return repr(sorted((key, value) for key, value in leaves.items() if key.startswith("data.")))


def _inputs_of(leaves: Leaves) -> str:
    return _data_of(shared_by_problem(leaves))


def _with_inputs(dataset: Dataset, other: Dataset) -> Dataset:
    """Return a data set with the input arrays of another, which are equal."""
    if dataset.train_inputs is other.train_inputs:
        return dataset
    return replace(dataset, train_inputs=other.train_inputs, test_inputs=other.test_inputs)


class Loader:
    """Loads data sets; equal configs share one object, also with the call before, and configs of equal inputs those arrays."""

    def __init__(self) -> None:
        self._loaded: dict[str, Dataset] = {}

    def load(self, trials: Sequence[Leaves]) -> list[Dataset]:
        """Return each trial's data set; those of earlier calls are forgotten, but for those wanted again."""
        configs = [_data_of(leaves) for leaves in trials]
        known, self._loaded = self._loaded, {}
        inputs: dict[str, Dataset] = {}
        for config, leaves in zip(configs, trials, strict=True):
            if config not in self._loaded:
                dataset = known[config] if config in known else load(build(leaves, "data"))
                self._loaded[config] = _with_inputs(dataset, inputs.setdefault(_inputs_of(leaves), dataset))
        return [self._loaded[config] for config in configs]
