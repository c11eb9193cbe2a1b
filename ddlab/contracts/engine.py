"""A few trials, trained or solved: the one module of the contracts that touches what does either.

States and metrics are arrays on the host.

Shapes: T trials of a pack, W widths of a problem, L trials at each, E eval points.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import jax
import numpy as np

from ddlab.config.trial import Leaves, joined, parse
from ddlab.data.loader import Loader
from ddlab.devices.local import precision
from ddlab.measures.evaluate import along_path
from ddlab.optimizers import SGD
from ddlab.parameters import named
from ddlab.solving.problem import make_problem
from ddlab.solving.solver import make_solver
from ddlab.starts import Score
from ddlab.training.begin import is_masked
from ddlab.training.program import make_program
from ddlab.training.state import NOT_BEGUN, State, TrialState, make_inputs

PLATFORMS = ("cuda", "tpu")
# Four fifths of the time of compiling go into making programs fast; these run for a moment.
COMPILER_OPTIONS: dict[str, Any] = {"cpu": {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}}

Metrics = Mapping[str, np.ndarray]


class NotLowered(Exception):
    """A program that cannot be lowered for an accelerator."""


def lowered(function: Callable[..., Any], *arguments: Any) -> str:
    """Return the text of a program lowered for `PLATFORMS`, without the places in the source that it comes from.

    Raises:
        NotLowered: it cannot be, or it calls what only a CPU has.
    """
    shapes = jax.tree.map(lambda array: jax.ShapeDtypeStruct(array.shape, array.dtype), arguments)
    try:
        text = jax.export.export(jax.jit(function), platforms=PLATFORMS)(*shapes).mlir_module()
    except (NotImplementedError, ValueError) as error:
        raise NotLowered(" ".join(str(error).split())[:200]) from error
    calls = sorted(set(re.findall(r"custom_call @(\w+)", text)))
    if found := [name for name in calls if name.startswith("lapack") or "cpu" in name or "callback" in name]:
        raise NotLowered(f"it calls {', '.join(found)}, which an accelerator has not")
    return re.sub(r"(?m)^#loc.*\n| loc\(#loc\d*\)", "", text)


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    return jax.jit(lambda *arguments: function(*arguments), compiler_options=COMPILER_OPTIONS.get(jax.default_backend()))


class Trained:
    """Trials that are trained by one program.

    Attributes:
        traces: how often each function of the program has been traced.
    """

    def __init__(self, trials: Sequence[Leaves]):
        datasets = Loader().load(trials)
        self.traces = {"advance": 0, "evaluate": 0}
        self._first_trial, config = parse(trials[0]), parse(joined(trials))
        self._settings = config.train
        with precision(self._settings):
            self._program = make_program(config, datasets[0].spec, masked=is_masked(trials))
            self._inputs = make_inputs(trials, datasets)

    @cached_property
    def begun(self) -> TrialState:
        """The shapes of the state before training; nothing is computed."""
        return self._shapes.trial

    @property
    def first(self) -> TrialState:
        """The state before training."""
        return self._first.trial

    @property
    def last(self) -> TrialState:
        """The state after training without a stop."""
        return self._last.trial

    @cached_property
    def resumed(self) -> TrialState:
        """The state after training that was stopped half-way."""
        return self._advanced(self._middle, self._settings.steps).trial

    @cached_property
    def metrics(self) -> Metrics:
        """Name -> [E, T] (or [E, T, n]), before training, half-way and at the end."""
        found = [self._evaluated(state) for state in (self._first, self._middle, self._last)]
        metrics = {name: np.stack([metrics[name] for metrics in found]) for name in found[0]}
        return metrics | {name: metrics[name][-1].T for name in self._along_path}

    @property
    def last_metrics(self) -> Metrics:
        """Name -> [T] (or [T, n]), at the end, computed anew."""
        metrics = self._evaluated(self._last)
        return {**metrics, **{name: metrics[name][:, -1] for name in self._along_path}}

    @property
    def _along_path(self) -> list[str]:
        """The metrics that are known at the end only, for all eval points."""
        groups = along_path(self._first_trial.measures).values()
        return [name for measures in groups for measure in measures for name in measure.columns()]

    @cached_property
    def gradient(self) -> Any | None:
        """The gradient that the first step follows, as the parameters; None where the step shows another direction."""
        optimizer = self._first_trial.optimizer
        plain = isinstance(optimizer, SGD) and optimizer.weight_decay == optimizer.warmup_steps == 0
        if not plain or self._settings.batch_size is not None or self._program.network.is_told:
            return None
        moved = self._advanced(self._first, 1).trial.params
        return jax.tree.map(lambda before, after: (before - after) / optimizer.learning_rate, self.first.params, moved)

    def loss(self, params: Any) -> float:
        """Return what training makes small of the first trial, with other parameters than it starts from."""
        state = self._first._replace(trial=self.first._replace(params=params))
        metrics = self._evaluated(state)
        terms = [name for name in metrics if name.startswith("train_") and name != "train_error"]
        return float(sum(metrics[name][0] for name in terms))

    def scores(self, score: Score) -> dict[str, np.ndarray]:
        """Return the score of each parameter before training, name -> [T, ...]."""
        with precision(self._settings):
            return named(jax.device_get(_compiled(partial(self._program.scores, score))(self._first, self._inputs)))

    @cached_property
    def text(self) -> str:
        """The program lowered for accelerators, from the start to the last metrics; see `lowered` for what it raises."""

        def whole(state: Any, inputs: Any, step: Any) -> Any:
            state = self._traced["advance"](state, inputs, step)
            return state, self._traced["evaluate"](state, inputs)

        with precision(self._settings):
            return lowered(whole, self._shapes, self._inputs, np.int32(0))

    @cached_property
    def _shapes(self) -> State:
        with precision(self._settings):
            return jax.eval_shape(self._program.init, self._inputs)

    @cached_property
    def _first(self) -> State:
        zeros = jax.tree.map(lambda shape: np.zeros(shape.shape, shape.dtype), self._shapes)
        return self._advanced(zeros._replace(step=np.int32(NOT_BEGUN)), 0)

    @cached_property
    def _last(self) -> State:
        return self._advanced(self._first, self._settings.steps)

    @cached_property
    def _middle(self) -> State:
        return self._advanced(self._first, self._settings.steps // 2)

    def _advanced(self, state: State, step: int) -> State:
        advanced: State = self._call("advance", state, self._inputs, np.int32(step))
        return advanced

    def _evaluated(self, state: State) -> Metrics:
        metrics: Metrics = self._call("evaluate", state, self._inputs)
        return metrics

    @cached_property
    def _traced(self) -> dict[str, Any]:
        """The functions of the program, traced once for arguments of the same shapes, whatever they are part of."""
        return {name: jax.jit(self._counted(name)) for name in self.traces}

    @cached_property
    def _compiled(self) -> dict[str, Any]:
        return {name: _compiled(f) for name, f in self._traced.items()}

    def _counted(self, name: str) -> Callable[..., Any]:
        function = getattr(self._program, name)

        def counted(*arguments: Any) -> Any:
            self.traces[name] += 1
            return function(*arguments)

        return counted

    def _call(self, name: str, *arguments: Any) -> Any:
        with precision(self._settings):
            return jax.tree.map(np.array, self._compiled[name](*arguments))


class Solved:
    """Trials of one problem that is solved in closed form, [W][L] of them."""

    def __init__(self, trials: Sequence[Sequence[Leaves]]):
        flat = [trial for at_width in trials for trial in at_width]
        datasets = Loader().load(flat)
        config = parse(joined(flat))
        self._settings = config.train
        with precision(self._settings):
            self._problem = make_problem(flat, datasets, len(trials))
            self._solve = make_solver(config, datasets[0].spec)

    @cached_property
    def metrics(self) -> Metrics:
        """Name -> [W, L, E] (or [W, L, E, n])."""
        with precision(self._settings):
            return jax.tree.map(np.array, _compiled(self._solve)(self._problem))

    @cached_property
    def text(self) -> str:
        """The solver lowered for accelerators; see `lowered` for what it raises."""
        with precision(self._settings):
            return lowered(self._solve, self._problem)
