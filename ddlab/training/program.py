"""Training a pack: many trials as one array program.

`make_program` does the Python-time work for a pack and returns pure functions of arrays. The trial axis (T) leads every
array that differs between trials; the step counter belongs to the pack, so that what depends on it stays a real branch
under `vmap`. Two functions get compiled: `Program.advance` begins the trials if they have not begun and takes them to an eval
point, `Program.evaluate` measures them there. The trip count of `advance` is traced: eval points at any spacing share it.

Shapes: T trials, N training examples, B examples a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ddlab.config.columns import NUM_LIVE
from ddlab.config.schema import Science, Train
from ddlab.data import TRAIN, Spec
from ddlab.devices.layout import MOST_EXAMPLES
from ddlab.errors import inside
from ddlab.measures import Measure
from ddlab.measures.evaluate import Metrics, Subject, along_path, by_every, cond_due, is_due, joined, needs_before, where_due
from ddlab.measures.examples import Examples, divided, live_sum, sum_over_chunks
from ddlab.measures.points import due_steps, eval_steps
from ddlab.models import Training
from ddlab.models.init import folded
from ddlab.starts import Score
from ddlab.training.batches import Grid, batch_rows
from ddlab.training.network import Network
from ddlab.training.pooled import Pool
from ddlab.training.state import NOT_BEGUN, Inputs, State, TrialInputs, TrialState


@dataclass(frozen=True, eq=False)
class Program:
    """The pure functions of one pack.

    Attributes:
        train: training settings, those that all trials share.
        network: of every trial.
        measures: of every trial, by name.
        masked: some weights of some trials do not live.
        chunk: examples that go through the network at once, in training and evaluation.
    """

    train: Train
    network: Network
    measures: Mapping[str, Measure]
    masked: bool
    chunk: int

    def init(self, inputs: Inputs) -> State:
        """Return the state at step 0."""

        def begun(trial: TrialInputs) -> TrialState:
            params, constants, moving = self.network.init(trial.config.model, trial.keys["init"])
            path = {every: jax.tree.map(partial(_room, points), (params, moving)) for every, points in self._path.items()}
            masks = jax.tree.map(lambda array: jnp.ones(array.shape, bool), params) if self.masked else None
            before = params if needs_before(self.measures) else None
            return TrialState(params, masks, constants, moving, None, path, before)

        trial = jax.vmap(begun)(inputs.trial)
        return State(jnp.zeros((), jnp.int32), trial._replace(optimizer=self.fresh(trial.params, inputs)))

    def fresh(self, params: Any, inputs: Inputs) -> Any:
        """Return the state of the optimizer that has made no update, of trials with some parameters."""

        def of_trial(params: Any, trial: TrialInputs) -> Any:
            optimizer = trial.config.optimizer
            with inside(optimizer, "make"):
                return optimizer.make(optimizer.learning_rate).init(params)

        return jax.vmap(of_trial)(params, inputs.trial)

    @cached_property
    def fresh_state(self) -> Callable[[Any, Inputs], Any]:
        """`fresh`, compiled when it is called."""
        return jax.jit(self.fresh)

    def advance(self, state: State, inputs: Inputs, target: Any) -> State:
        """Return the state at step `target`; trials that have not begun begin."""
        state = jax.lax.cond(state.step == NOT_BEGUN, lambda: self.init(inputs), lambda: state)
        pool = Pool.of(inputs.shared, inputs.trial.sizes)
        # Full batches are each trial's own arrays, taken out of the pool once, not at each step.
        own = jax.vmap(pool.own)(inputs.trial.which) if self.train.batch_size is None else {}

        def update(step: jax.Array, trial: TrialState) -> TrialState:
            return jax.vmap(partial(self._updated, step, pool))(trial, inputs.trial, own)

        step = jnp.asarray(target, jnp.int32)
        trial = jax.lax.fori_loop(state.step, target, update, self._with_before(state, step, inputs))
        return State(step, self._with_path(step, trial, inputs))

    def _with_before(self, state: State, target: jax.Array, inputs: Inputs) -> TrialState:
        """Return the trials with their parameters kept as those of the eval point before, where they leave one."""
        trial = state.trial
        if trial.before is None:
            return trial
        leave = is_due(1, self.train, state.step) & (target > state.step)
        before = jax.lax.cond(leave, lambda: self._evaluated(inputs, trial), lambda: trial.before)
        return trial._replace(before=before)

    def _evaluated(self, inputs: Inputs, trial: TrialState) -> Any:
        """Return the parameters of trials that are evaluated."""

        def of_trial(own: TrialInputs, state: TrialState) -> Any:
            return own.config.optimizer.eval_params(state.optimizer, state.params)

        return jax.vmap(of_trial)(inputs.trial, trial)

    @cached_property
    def _path(self) -> dict[int, int]:
        """At how many eval points measures along the path are due, by their `every`."""
        return {every: len(due_steps(self.train, every)) for every in along_path(self.measures)}

    def _with_path(self, step: jax.Array, trial: TrialState, inputs: Inputs) -> TrialState:
        """Return the trials with their parameters at a step kept, where a measure along the path is due there."""
        path = {}
        for every, kept in trial.path.items():
            point = jnp.searchsorted(jnp.asarray(due_steps(self.train, every), jnp.int32), step)

            def put(kept: Any, point: jax.Array = point) -> Any:
                found = self._evaluated(inputs, trial), trial.moving
                return jax.tree.map(lambda at, now: at.at[:, point].set(now), kept, found)

            path[every] = jax.lax.cond(is_due(every, self.train, step), put, lambda kept: kept, kept)
        return trial._replace(path=path)

    def _updated(self, step: jax.Array, pool: Pool, state: TrialState, inputs: TrialInputs, own: dict[str, Any]) -> TrialState:
        """Return one trial after the update that it makes at a step; own: its arrays, in place of those of the pool."""
        pool = pool.with_own(own)
        examples, taught = pool.examples(TRAIN, inputs.which, inputs.sizes), pool.taught(inputs.which)
        if self.train.batch_size is not None:
            grid = inputs.grid or Grid.of(examples.rows)
            rows = batch_rows(inputs.keys["batches"], step, grid, self.train.batch_size)
            examples, taught = Examples.of(*examples.take(rows)), pool.taught(inputs.which, rows)
        key = folded(inputs.keys["training"], step)
        gradient_at = partial(self._gradient, inputs.config.train, state, examples, taught, key)
        (gradient, moving), optimizer = gradient_at(state.params), inputs.config.optimizer

        def grad_fn(params: Any, _: Any = None) -> Any:
            return gradient_at(params)[0]

        # optax counts updates in integers and mixes them with floats
        with inside(optimizer, "make"), jax.numpy_dtype_promotion("standard"):
            rule = optimizer.make(optimizer.learning_rate_at(step, self.train.steps))
            updates, rule_state = rule.update(gradient, state.optimizer, state.params, grad_fn=grad_fn, step=step)
        params = live(optax.apply_updates(state.params, updates), state.masks)
        return state._replace(params=params, moving=moving, optimizer=rule_state)

    def _gradient(
        self, train: Train, state: TrialState, examples: Examples, taught: jax.Array | None, key: jax.Array, at: Any
    ) -> tuple[Any, Any]:
        """Return the gradient of the training loss on a batch, as the parameters, and the batch statistics after it.

        Args:
            train: training settings of the trial.
            state: of the trial.
            examples: the batch.
            taught: what the teacher of the trial gives for it; None: there is none.
            key: [2] uint32, of the trial and the step.
            at: the parameters.
        """

        def loss(params: Any, inputs: jax.Array, targets: jax.Array, live: jax.Array, places: jax.Array) -> tuple[Any, Any]:
            training = Training(key, places, live)
            if train.augment is not None:
                with inside(train.augment):
                    inputs = train.augment(inputs, training.draw)
            found, moving = self.network.apply(params, state, inputs, training)
            losses = train.loss.objective(found, targets)
            if taught is not None:
                losses = train.teacher(losses, found.outputs, taught[places])
            return live_sum(losses, live), moving

        chunk = examples.rows if self.network.is_whole(state) else self.chunk
        part = partial(jax.grad(loss, has_aux=True), at)
        gradient, moving = sum_over_chunks(part, examples, chunk, examples.most)
        return live(divided(gradient, examples.num), state.masks), moving

    def evaluate(self, state: State, inputs: Inputs) -> Metrics:
        """Return the metrics, name -> [T] (or [T, n]); nan where a measure is not due at the state's step."""
        metrics = self._losses(state, inputs)
        if self.masked:
            metrics[NUM_LIVE] = jax.vmap(_count)(state.trial.masks)
        for every, measures in by_every(inputs.trial.config.measures).items():
            measured = partial(self._measured, every)
            due = is_due(every, self.train, state.step)
            found = measured(state, inputs) if every == 1 else cond_due(due, measured, state, inputs)
            metrics = joined(metrics, measures, found)
        for every, along in along_path(inputs.trial.config.measures).items():
            found = cond_due(state.step == self.train.steps, partial(self._measured_along, every), state, inputs)
            metrics = joined(metrics, along, found)
        return metrics

    def scorer(self, score: Score) -> Callable[[State, Inputs], Any]:
        """Return `scores` of a score, compiled when it is called."""
        return self._scorers.setdefault(repr(score), jax.jit(partial(self.scores, score)))

    @cached_property
    def _scorers(self) -> dict[str, Callable[[State, Inputs], Any]]:
        return {}

    def scores(self, score: Score, state: State, inputs: Inputs) -> Any:
        """Return the score of each parameter of each trial, a pytree like the parameters; one trial after the other."""
        pool = Pool.of(inputs.shared, inputs.trial.sizes)

        def scored(pair: tuple[TrialState, TrialInputs]) -> Any:
            trial, own = pair
            return replace(self._subject(state.step, pool, trial, own), params=trial.params).scores(score)

        return jax.lax.map(scored, (state.trial, inputs.trial))

    def _losses(self, state: State, inputs: Inputs) -> Metrics:
        subject = partial(self._subject, state.step, Pool.of(inputs.shared, inputs.trial.sizes))
        return jax.vmap(lambda *trial: subject(*trial).losses())(state.trial, inputs.trial)

    def _measured(self, every: int, state: State, inputs: Inputs) -> list[Metrics]:
        """Return what each measure with this `every` gives, with the trial axis."""
        pool = Pool.of(inputs.shared, inputs.trial.sizes)

        def measured(trial: TrialState, own: TrialInputs) -> list[Metrics]:
            measures = by_every(own.config.measures)[every]
            found = self._subject(state.step, pool, trial, own).measured(measures)
            return [
                where_due(state.step > 0, metrics) if measure.needs_before else metrics
                for measure, metrics in zip(measures, found, strict=True)
            ]

        return jax.vmap(measured)(state.trial, inputs.trial)

    def _measured_along(self, every: int, state: State, inputs: Inputs) -> list[Metrics]:
        """Return what each measure along the path with this `every` gives at all eval points E, name -> [T, E]; nan: not due."""
        pool, steps = Pool.of(inputs.shared, inputs.trial.sizes), eval_steps(self.train)
        due = np.searchsorted(steps, due_steps(self.train, every))

        def measured(trial: TrialState, own: TrialInputs) -> list[Metrics]:
            measures = along_path(own.config.measures)[every]
            final = self._subject(state.step, pool, trial, own)
            finals = final.finals(measures)

            def at_point(kept: Any) -> list[Metrics]:
                params, moving = kept
                earlier = self._subject(state.step, pool, trial._replace(moving=moving), own)
                return replace(
                    earlier, params=params, learning_rate=jnp.full_like(earlier.learning_rate, jnp.nan)
                ).measured_along(measures, finals)

            found = jax.lax.map(at_point, trial.path[every])
            return jax.tree.map(lambda values: jnp.full(len(steps), jnp.nan, values.dtype).at[due].set(values), found)

        return jax.vmap(measured)(state.trial, inputs.trial)

    def _subject(self, step: jax.Array, pool: Pool, trial: TrialState, inputs: TrialInputs) -> Subject:
        optimizer = inputs.config.optimizer
        learning_rate = optimizer.learning_rate_at(step, self.train.steps)
        return Subject(
            optimizer.eval_params(trial.optimizer, trial.params),
            lambda params, x: self.network.apply(params, trial, x)[0],
            {split: pool.examples(split, inputs.which, inputs.sizes) for split in self.network.spec.splits},
            pool.labelled(inputs.which, inputs.sizes),
            pool.number("noise_variance", inputs.which),
            inputs.config.train.loss,
            lambda: live(self.network.init(inputs.config.model, inputs.keys["init"])[0], trial.masks),
            learning_rate,
            self.chunk,
            trial.before,
        )


def make_program(config: Science, spec: Spec, chunk: int = MOST_EXAMPLES, masked: bool = False) -> Program:
    """Return the program of a pack.

    Args:
        config: that its trials are padded to.
        spec: sizes of their data.
        chunk, masked: as in `Program`.
    """
    return Program(config.train, Network.of(config, spec), config.measures, masked, chunk)


def live(params: Any, masks: Any) -> Any:
    """Return parameters, or their gradient, of which those that do not live are 0."""
    if masks is None:
        return params
    return jax.tree.map(lambda array, mask: jnp.where(mask, array, jnp.zeros_like(array)), params, masks)


def _count(masks: Any) -> jax.Array:
    """Return how many entries are true, [] int32."""
    return sum((jnp.sum(mask, dtype=jnp.int32) for mask in jax.tree.leaves(masks)), jnp.zeros((), jnp.int32))


def _room(points: int, array: jax.Array) -> jax.Array:
    return jnp.zeros((points, *array.shape), array.dtype)
