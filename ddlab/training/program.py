"""Training a pack: many trials as one array program.

`make_program` does the Python-time work for a pack and returns pure functions of arrays. The trial axis (T) leads every
array that differs between trials; the step counter belongs to the pack, so that what depends on it stays a real branch
under `vmap`. Two functions get compiled: `Program.advance` begins the trials if they have not begun and takes them to an eval
point, `Program.evaluate` measures them there. The trip count of `advance` is traced: eval points at any spacing share it.

Shapes: T trials, N training examples, B examples a batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from ddlab.config.schema import Science, Train
from ddlab.config.trial import Leaves, train_settings
from ddlab.data import TRAIN, Dataset, Spec
from ddlab.devices.layout import MOST_EXAMPLES
from ddlab.devices.stacked import stacked
from ddlab.errors import inside
from ddlab.losses import Loss
from ddlab.measures.evaluate import Metrics, Subject, by_every, cond_due, is_due, joined
from ddlab.measures.examples import Examples, divided, live_sum, sum_over_chunks
from ddlab.models import Init, Model, Outputs, Training
from ddlab.models.base import VARIABLES, apply_network, is_told, make_network
from ddlab.models.init import draw_words, folded, record_draws
from ddlab.streams import stream
from ddlab.training.batches import Grid, batch_rows
from ddlab.training.pooled import pooled

NOT_BEGUN = -1

# The random streams of a trial, and the leaf whose seed each takes.
STREAMS = {"init": "init_seed", "batches": "batch_seed", "training": "seed"}


class TrialState(NamedTuple):
    """What training changes of each trial.

    Attributes:
        params: pytree of [T, ...], trainable parameters.
        constants: pytree of [T, ...], untrained numbers of the networks.
        moving: pytree of [T, ...], batch statistics of the networks.
        optimizer: pytree of [T, ...], optimizer state.
    """

    params: Any
    constants: Any
    moving: Any
    optimizer: Any


class State(NamedTuple):
    """Everything that training changes.

    Attributes:
        step: [] int32, updates made; `NOT_BEGUN` before initialisation.
        trial: with the trial axis.
    """

    step: Any
    trial: TrialState


class TrialInputs(NamedTuple):
    """What training reads of each trial.

    Attributes:
        config: of each trial, its numbers [T].
        keys: stream -> [T, 2] uint32, each trial's key of its random streams.
        which: name -> [T] int32, which of the arrays of that name is the trial's.
        sizes: split -> [T] int32, examples of it; only of splits in which trials differ.
        grid: numbers [T] uint32 of the training sets; None where all have as many examples.
    """

    config: Science
    keys: dict[str, Any]
    which: dict[str, Any]
    sizes: dict[str, Any]
    grid: Grid | None


class Inputs(NamedTuple):
    """Everything that training reads and never changes.

    Attributes:
        shared: name -> [D, ...], the D arrays of that name that differ among the data sets, padded to the longest.
        trial: with the trial axis.
    """

    shared: dict[str, Any]
    trial: TrialInputs


def make_inputs(trials: Sequence[Leaves], datasets: Sequence[Dataset]) -> Inputs:
    """Return the arrays of a pack, on the host.

    Args:
        trials: leaves of each trial.
        datasets: data set of each trial; equal arrays among them are kept once.
    """
    dtype = train_settings(trials[0]).storage_dtype
    keys = {name: np.stack([stream(leaves[seed], name) for leaves in trials]) for name, seed in STREAMS.items()}
    shared, which = pooled(datasets, dtype)
    counts = {split: [dataset.splits[split].num for dataset in datasets] for split in datasets[0].splits}
    sizes = {split: np.array(numbers, np.int32) for split, numbers in counts.items() if len(set(numbers)) > 1}
    grids = [Grid.of(num) for num in counts[TRAIN]] if TRAIN in sizes else []
    grid = Grid(*np.array(grids, np.uint32).T) if grids else None
    return Inputs(shared, TrialInputs(stacked(trials, dtype), keys, which, sizes, grid))


@dataclass(frozen=True, eq=False)
class Network:
    """The network of every trial of a pack: one structure, each trial's own numbers.

    Attributes:
        model: that all trials are padded to.
        spec: sizes of the data.
        sizes: axis -> its size in the arrays of every trial.
        stored: type of the parameters.
        computed: type of the arithmetic.
        graph: the structure.
        draws: parameters that begin at random numbers, name -> shape.
        is_told: it may give something else in training than in evaluation.
    """

    model: Model
    spec: Spec
    sizes: Mapping[str, int]
    stored: Any
    computed: Any
    graph: Any
    draws: Mapping[str, tuple[int, ...]]
    is_told: bool

    @staticmethod
    def of(config: Science, spec: Spec) -> Network:
        """Return the network of a pack by the config that its trials are padded to."""
        stored, computed = jnp.dtype(config.train.storage_dtype), jnp.dtype(config.train.dtype)
        words, draws = record_draws()
        init = Init(words, dtype=stored)
        made = nnx.eval_shape(lambda: make_network(config.model, spec, init))
        return Network(config.model, spec, init.sizes, stored, computed, nnx.split(made, *VARIABLES)[0], draws, is_told(made))

    def init(self, model: Model, key: jax.Array) -> tuple[Any, Any, Any]:
        """Return the parameters, constants and batch statistics at which one trial starts.

        Args:
            model: the trial's own.
            key: [2] uint32, of its stream "init".
        """
        words = draw_words(key, self.draws)
        network = make_network(model, self.spec, Init(lambda name, _shape: words[name], self.sizes, self.stored))
        _, *states = nnx.split(network, *VARIABLES)
        params, constants, moving = states
        return params, constants, moving

    def apply(self, params: Any, state: TrialState, inputs: jax.Array, training: Training | None = None) -> tuple[Outputs, Any]:
        """Return what the network of one trial gives, and its batch statistics after that, of the type of the parameters.

        Args:
            params: of the network.
            state: has the rest of it.
            inputs: of B examples, [B, ...].
            training: what it is told where it is trained on them.
        """
        variables = _of_type((params, state.constants, state.moving), self.computed)
        network = nnx.merge(self.graph, *variables)
        outputs = apply_network(self.model, network, _of_type(inputs, self.computed), self.spec, training)
        return _of_type((outputs, nnx.state(network, nnx.BatchStat)), self.stored)

    def is_whole(self, state: TrialState) -> bool:
        """Whether a batch must go through the network in one piece."""
        return self.model.WHOLE_BATCH or bool(jax.tree.leaves(state.moving))


def _of_type(tree: Any, dtype: Any) -> Any:
    """Return a tree whose real numbers are of a type."""
    return jax.tree.map(lambda x: x.astype(dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x, tree)


@dataclass(frozen=True, eq=False)
class Program:
    """The pure functions of one pack.

    Attributes:
        train: training settings, those that all trials share.
        network: of every trial.
        chunk: examples that go through the network at once, in training and evaluation.
    """

    train: Train
    network: Network
    chunk: int

    def init(self, inputs: Inputs) -> State:
        """Return the state at step 0."""

        def begun(trial: TrialInputs) -> TrialState:
            params, constants, moving = self.network.init(trial.config.model, trial.keys["init"])
            optimizer = trial.config.optimizer
            with inside(optimizer, "make"):
                return TrialState(params, constants, moving, optimizer.make(optimizer.learning_rate).init(params))

        return State(jnp.zeros((), jnp.int32), jax.vmap(begun)(inputs.trial))

    def advance(self, state: State, inputs: Inputs, target: Any) -> State:
        """Return the state at step `target`; trials that have not begun begin."""
        state = jax.lax.cond(state.step == NOT_BEGUN, lambda: self.init(inputs), lambda: state)

        most = _most(inputs.trial)

        def update(step: jax.Array, trial: TrialState) -> TrialState:
            return jax.vmap(partial(self._updated, step, inputs.shared, most))(trial, inputs.trial)

        return State(jnp.asarray(target, jnp.int32), jax.lax.fori_loop(state.step, target, update, state.trial))

    def _updated(
        self, step: jax.Array, shared: Mapping[str, Any], most: Mapping[str, Any], state: TrialState, inputs: TrialInputs
    ) -> TrialState:
        """Return one trial after the update that it makes at a step."""
        examples = self._splits(shared, inputs, most)[TRAIN]
        if self.train.batch_size is not None:
            grid = inputs.grid or Grid.of(examples.rows)
            rows = batch_rows(inputs.keys["batches"], step, grid, self.train.batch_size)
            examples = Examples.of(*examples.take(rows))
        gradient_at = partial(self._gradient, inputs.config.train.loss, state, examples, folded(inputs.keys["training"], step))
        (gradient, moving), optimizer = gradient_at(state.params), inputs.config.optimizer

        def grad_fn(params: Any, _: Any = None) -> Any:
            return gradient_at(params)[0]

        # optax counts updates in integers and mixes them with floats
        with inside(optimizer, "make"), jax.numpy_dtype_promotion("standard"):
            rule = optimizer.make(optimizer.learning_rate_at(step, self.train.steps))
            updates, rule_state = rule.update(gradient, state.optimizer, state.params, grad_fn=grad_fn)
        return TrialState(optax.apply_updates(state.params, updates), state.constants, moving, rule_state)

    def _gradient(self, training_loss: Loss, state: TrialState, examples: Examples, key: jax.Array, at: Any) -> tuple[Any, Any]:
        """Return the gradient of the training loss on a batch, as the parameters, and the batch statistics after it.

        Args:
            training_loss: of the trial.
            state: of the trial.
            examples: the batch.
            key: [2] uint32, of the trial and the step.
            at: the parameters.
        """

        def loss(params: Any, inputs: jax.Array, targets: jax.Array, live: jax.Array, places: jax.Array) -> tuple[Any, Any]:
            found, moving = self.network.apply(params, state, inputs, Training(key, places, live))
            return live_sum(training_loss.objective(found, targets), live), moving

        chunk = examples.rows if self.network.is_whole(state) else self.chunk
        part = partial(jax.grad(loss, has_aux=True), at)
        gradient, moving = sum_over_chunks(part, examples, chunk, examples.most)
        return divided(gradient, examples.num), moving

    def evaluate(self, state: State, inputs: Inputs) -> Metrics:
        """Return the metrics, name -> [T] (or [T, n]); nan where a measure is not due at the state's step."""
        metrics = self._losses(state, inputs)
        for every, measures in by_every(inputs.trial.config.measures).items():
            measured = partial(self._measured, every)
            due = is_due(every, self.train, state.step)
            found = measured(state, inputs) if every == 1 else cond_due(due, measured, state, inputs)
            metrics = joined(metrics, measures, found)
        return metrics

    def _losses(self, state: State, inputs: Inputs) -> Metrics:
        subject = partial(self._subject, state.step, inputs.shared, _most(inputs.trial))
        return jax.vmap(lambda *trial: subject(*trial).losses())(state.trial, inputs.trial)

    def _measured(self, every: int, state: State, inputs: Inputs) -> list[Metrics]:
        """Return what each measure with this `every` gives, with the trial axis."""
        most = _most(inputs.trial)

        def measured(trial: TrialState, own: TrialInputs) -> list[Metrics]:
            measures = by_every(own.config.measures)[every]
            return self._subject(state.step, inputs.shared, most, trial, own).measured(measures)

        return jax.vmap(measured)(state.trial, inputs.trial)

    def _subject(
        self, step: jax.Array, shared: Mapping[str, Any], most: Mapping[str, Any], trial: TrialState, inputs: TrialInputs
    ) -> Subject:
        optimizer = inputs.config.optimizer
        learning_rate = optimizer.learning_rate_at(step, self.train.steps)
        noise = "noise_variance"
        noise_variance = shared[noise][inputs.which[noise]] if noise in shared else None
        splits = self._splits(shared, inputs, most)
        return Subject(
            optimizer.eval_params(trial.optimizer, trial.params),
            lambda params, x: self.network.apply(params, trial, x)[0],
            splits,
            noise_variance,
            inputs.config.train.loss,
            learning_rate,
            self.chunk,
        )

    def _splits(self, shared: Mapping[str, Any], inputs: TrialInputs, most: Mapping[str, Any]) -> dict[str, Examples]:
        """Return the examples of one trial by split."""

        def examples(split: str) -> Examples:
            names = f"{split}_inputs", f"{split}_targets"
            rows = shared[names[1]].shape[1]
            which = inputs.which[names[0]], inputs.which[names[1]]
            return Examples((shared[names[0]], shared[names[1]]), which, inputs.sizes.get(split, rows), most.get(split, rows))

        return {split: examples(split) for split in self.network.spec.splits}


def _most(trials: TrialInputs) -> dict[str, jax.Array]:
    """Return the most examples that any trial has, of splits in which trials differ."""
    return {split: jnp.max(sizes) for split, sizes in trials.sizes.items()}


def make_program(config: Science, spec: Spec, chunk: int = MOST_EXAMPLES) -> Program:
    """Return the program of a pack.

    Args:
        config: that its trials are padded to.
        spec: sizes of their data.
        chunk: as in `Program`.
    """
    return Program(config.train, Network.of(config, spec), chunk)
