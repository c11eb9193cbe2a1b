"""Training a pack: many trials as one array program.

`make_program` does the Python-time work for a pack and returns pure functions of arrays. The trial axis (T) leads every
array that differs between trials; the step counter belongs to the pack, so that what depends on it stays a real branch
under `vmap`. `Program.segment` is the one function that gets compiled: it begins the trials if they have not begun,
advances them to an eval point and evaluates them there. Its trip count is traced: eval points at any spacing share it.

Shapes: T trials, N training examples, B examples a batch, S distinct seeds in the pack.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from ddlab.config import Leaves, Train, build, build_measures, train_settings
from ddlab.data import Dataset
from ddlab.losses import LOSSES
from ddlab.measures import Snapshot
from ddlab.measures.performance import Performance
from ddlab.models import Constant, Init, stream
from ddlab.plan import EVAL_EXAMPLES

NOT_BEGUN = -1


class State(NamedTuple):
    """Everything that training changes.

    Attributes:
        step: [] int32, updates made; `NOT_BEGUN` before initialisation.
        order: [S, N] int32, this epoch's order of the examples ([S, 0] for full batches).
        params: pytree of [T, ...], trainable parameters.
        constants: pytree of [T, ...], untrained numbers of the networks.
        optimizer: pytree of [T, ...], optimizer state.
    """

    step: jax.Array
    order: jax.Array
    params: Any
    constants: Any
    optimizer: Any


class Inputs(NamedTuple):
    """Everything that training reads and never changes.

    Attributes:
        hypers: leaf -> [T], the traced leaves.
        seeds: [S] uint32, the distinct seeds of the pack.
        seed_index: [T] int32, which of them is a trial's.
        shared: name -> array, the fields of the data set that all trials share.
        own: name -> [T, ...], the fields that differ between trials.
    """

    hypers: dict[str, Any]
    seeds: Any
    seed_index: Any
    shared: dict[str, Any]
    own: dict[str, Any]


Metrics = dict[str, Any]


@dataclass(frozen=True)
class Program:
    """The pure functions of one pack.

    Attributes:
        init: inputs -> state at step 0.
        advance: (state, inputs, target step) -> state at the target step.
        evaluate: (state, inputs) -> metrics, name -> [T] (or [T, n]).
        segment: (state, inputs, target step) -> (state, metrics); init if need be, then advance, then evaluate.
    """

    init: Callable[[Inputs], State]
    advance: Callable[[State, Inputs, Any], State]
    evaluate: Callable[[State, Inputs], Metrics]
    segment: Callable[[State, Inputs, Any], tuple[State, Metrics]]


def eval_steps(train: Train) -> np.ndarray:
    """Return the ascending distinct eval steps: 0, the last, and `num_evals` in all where that many differ."""
    if train.eval_spacing == "linear":
        steps = np.linspace(0, train.steps, train.num_evals)
    else:
        steps = np.concatenate([[0], np.geomspace(1, train.steps, train.num_evals - 1)])
    return np.unique(np.rint(steps).astype(int))


def make_inputs(trials: Sequence[Leaves], traced_keys: Sequence[str], datasets: Sequence[Dataset]) -> Inputs:
    """Return the arrays of a pack, on the host.

    Args:
        trials: leaves of each trial.
        traced_keys: the leaves that become arrays (those of the data set act through its arrays instead).
        datasets: data set of each trial; equal arrays among them are kept once.
    """
    dtype = train_settings(trials[0]).dtype
    seeds, seed_index = np.unique(np.array([leaves["seed"] for leaves in trials], np.uint32), return_inverse=True)
    hypers = {key: _column(key, [leaves[key] for leaves in trials], dtype) for key in traced_keys}
    shared: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for name in ("train_inputs", "train_targets", "test_inputs", "test_targets"):
        arrays = [getattr(dataset, name) for dataset in datasets]
        distinct = {id(array): array for array in arrays}.values()
        first = arrays[0]
        if all(np.array_equal(first, array) for array in distinct):
            shared[name] = _as(first, dtype)
        else:
            own[name] = np.stack([_as(array, dtype) for array in arrays])
    return Inputs(hypers, seeds, seed_index.astype(np.int32), shared, own)


def _column(key: str, values: Sequence[Any], dtype: str) -> np.ndarray:
    if all(isinstance(value, int) for value in values):
        return np.array(values, np.uint32 if key == "seed" else np.int32)
    return np.array(values, dtype)


def _as(array: np.ndarray, dtype: str) -> np.ndarray:
    return array.astype(dtype) if array.dtype.kind == "f" else array


def make_program(leaves: Leaves, dataset: Dataset) -> Program:
    """Return the program of a pack.

    An epoch is as many whole batches as there are; the examples that are left over differ from epoch to epoch.

    Args:
        leaves: of the widest trial of the pack; its traced leaves are replaced by each trial's own.
        dataset: any trial's; gives the sizes.
    """
    train = train_settings(leaves)
    spec = dataset.spec
    num_train = spec.num_train
    batch_size = train.batch_size
    dtype = jnp.dtype(train.dtype)
    padded = {axis: leaves[f"model.{name}"] for name, axis in build(leaves, "model").PADDED.items()}
    loss_fn = LOSSES[train.loss]

    def component(name: str, hypers: Mapping[str, Any]) -> Any:
        return build({**leaves, **hypers}, name)

    def make_network(hypers: Mapping[str, Any]) -> Any:
        key = stream(jax.random.key(hypers["seed"]), "init")
        return component("model", hypers).make(spec, Init(key, padded, dtype))

    # The structure of the network is the same for every trial of the pack.
    graph = nnx.split(nnx.eval_shape(lambda: make_network({"seed": leaves["seed"]})), nnx.Param, Constant)[0]

    def outputs_fn(constants: Any) -> Callable[[Any, jax.Array], jax.Array]:
        return lambda params, inputs: nnx.merge(graph, params, constants)(inputs)

    # --- init -------------------------------------------------------------------------------------------------------

    def init_trial(hypers: Mapping[str, Any]) -> tuple[Any, Any, Any]:
        _, *states = nnx.split(make_network(hypers), nnx.Param, Constant)
        params, constants = states
        optimizer = component("optimizer", hypers)
        return params, constants, optimizer.make(optimizer.learning_rate).init(params)

    def init(inputs: Inputs) -> State:
        params, constants, optimizer = jax.vmap(init_trial)(inputs.hypers)
        order = jnp.zeros((len(inputs.seeds), 0 if batch_size is None else num_train), jnp.int32)
        return State(jnp.zeros((), jnp.int32), order, params, constants, optimizer)

    # --- advance ----------------------------------------------------------------------------------------------------

    def update_trial(params: Any, constants: Any, optimizer_state: Any, hypers: Any, step: Any, batch: Any) -> Any:
        optimizer = component("optimizer", hypers)
        rule = optimizer.make(optimizer.learning_rate_at(step, train.steps))
        forward = outputs_fn(constants)
        gradients = jax.grad(lambda p: jnp.mean(loss_fn(forward(p, batch[0]), batch[1])))(params)
        with jax.numpy_dtype_promotion("standard"):  # optax counts updates in integers and mixes them with floats
            updates, optimizer_state = rule.update(gradients, optimizer_state, params)
        return optax.apply_updates(params, updates), optimizer_state

    def train_arrays(shared: Mapping[str, Any], own: Mapping[str, Any]) -> tuple[Any, Any]:
        data = {**shared, **own}
        return data["train_inputs"], data["train_targets"]

    def shuffle(seeds: jax.Array, epoch: jax.Array) -> jax.Array:
        def one(seed: jax.Array) -> jax.Array:
            key = jax.random.fold_in(stream(jax.random.key(seed), "batches"), epoch)
            return jax.random.permutation(key, num_train).astype(jnp.int32)

        return jax.vmap(one)(seeds)

    def advance(state: State, inputs: Inputs, target: Any) -> State:
        steps_per_epoch = 1 if batch_size is None else num_train // batch_size

        def body(step: jax.Array, state: State) -> State:
            order = state.order
            rows = None
            if batch_size is not None:
                epoch, position = jnp.divmod(step, steps_per_epoch)
                order = jax.lax.cond(position == 0, lambda: shuffle(inputs.seeds, epoch), lambda: order)
                rows = jax.lax.dynamic_slice_in_dim(order, position * batch_size, batch_size, axis=1)[inputs.seed_index]

            def one(params: Any, constants: Any, optimizer_state: Any, hypers: Any, own: Any, rows: Any) -> Any:
                batch = train_arrays(inputs.shared, own)
                if rows is not None:
                    batch = tuple(array[rows] for array in batch)
                return update_trial(params, constants, optimizer_state, hypers, step, batch)

            params, optimizer = jax.vmap(one)(state.params, state.constants, state.optimizer, inputs.hypers, inputs.own, rows)
            return State(step + 1, order, params, state.constants, optimizer)

        return jax.lax.fori_loop(state.step, target, body, state)

    # --- evaluate ---------------------------------------------------------------------------------------------------

    def evaluate(state: State, inputs: Inputs) -> Metrics:
        def one(params: Any, constants: Any, hypers: Any, own: Any) -> Metrics:
            forward = outputs_fn(constants)
            data = {**inputs.shared, **own}
            snapshot = Snapshot(
                params=params,
                outputs_fn=forward,
                mean_fn=lambda *args: _mean(forward, *args),
                loss_fn=loss_fn,
                train=train_arrays(inputs.shared, own),
                test=(data["test_inputs"], data["test_targets"]),
                learning_rate=component("optimizer", hypers).learning_rate_at(state.step, train.steps),
            )
            metrics: Metrics = {}
            for measure in (Performance(), *build_measures({**leaves, **hypers})):
                metrics |= measure(snapshot)
            return metrics

        return jax.vmap(one)(state.params, state.constants, inputs.hypers, inputs.own)

    def segment(state: State, inputs: Inputs, target: Any) -> tuple[State, Metrics]:
        state = jax.lax.cond(state.step == NOT_BEGUN, lambda: init(inputs), lambda: state)
        state = advance(state, inputs, target)
        return state, evaluate(state, inputs)

    return Program(init, advance, evaluate, segment)


def _mean(forward: Callable[..., jax.Array], per_example: Callable[..., Any], params: Any, inputs: Any, targets: Any) -> Any:
    """Return the mean over examples of `per_example(outputs, targets)`, in chunks of at most `EVAL_EXAMPLES`.

    Chunks are equally long; the last is filled up with examples of weight zero. The backward pass computes a chunk anew.
    """
    num_examples = len(targets)
    num_chunks = math.ceil(num_examples / EVAL_EXAMPLES)
    length = math.ceil(num_examples / num_chunks)
    padding = num_chunks * length - num_examples

    def chunked(array: jax.Array) -> jax.Array:
        array = jnp.pad(array, [(0, padding)] + [(0, 0)] * (array.ndim - 1))
        return array.reshape(num_chunks, length, *array.shape[1:])

    @jax.checkpoint
    def total(chunk: tuple[Any, Any, Any]) -> Any:
        inputs, targets, index = chunk
        values = per_example(forward(params, inputs), targets)
        live = index * length + jnp.arange(length) < num_examples
        return jax.tree.map(lambda value: jnp.sum(jnp.where(live, value, 0)), values)

    chunks = (chunked(inputs), chunked(targets), jnp.arange(num_chunks))
    totals = jax.lax.map(total, chunks)
    return jax.tree.map(lambda value: jnp.sum(value) / num_examples, totals)
