"""Training a pack: many trials as one array program.

`make_program` does the Python-time work for a pack and returns pure functions of arrays. The trial axis (T) leads every
array that differs between trials; the step counter belongs to the pack, so that what depends on it stays a real branch
under `vmap`. `Program.segment` is the one function that gets compiled: it begins the trials if they have not begun,
advances them to an eval point and evaluates them there. Its trip count is traced: eval points at any spacing share it.

Shapes: T trials, N training examples, B examples a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from ddlab.config.trial import Leaves, build, build_measures, hyper_keys, train_settings
from ddlab.data import Dataset
from ddlab.devices.layout import MOST_EXAMPLES
from ddlab.errors import inside
from ddlab.losses import LOSSES
from ddlab.measures.evaluate import Metrics
from ddlab.measures.evaluate import evaluate as evaluate_trial
from ddlab.measures.examples import mean_and_gradient
from ddlab.models import Constant, Init
from ddlab.models.base import apply_network, make_network
from ddlab.models.init import Words, draw_words, record_draws
from ddlab.streams import stream
from ddlab.training.batches import batch_rows

NOT_BEGUN = -1

# The random streams of a trial, and the leaf whose seed each takes.
STREAMS = {"init": "init_seed", "batches": "batch_seed"}


class State(NamedTuple):
    """Everything that training changes.

    Attributes:
        step: [] int32, updates made; `NOT_BEGUN` before initialisation.
        params: pytree of [T, ...], trainable parameters.
        constants: pytree of [T, ...], untrained numbers of the networks.
        optimizer: pytree of [T, ...], optimizer state.
    """

    step: jax.Array
    params: Any
    constants: Any
    optimizer: Any


class Inputs(NamedTuple):
    """Everything that training reads and never changes. As in `State`, all fields but the first have the trial axis.

    Attributes:
        shared: name -> array, the fields of the data set that all trials share.
        own: name -> [T, ...], the fields of the data set that differ between trials.
        hypers: leaf -> [T], the traced leaves.
        keys: stream -> [T, 2] uint32, each trial's key of its random streams.
    """

    shared: dict[str, Any]
    own: dict[str, Any]
    hypers: dict[str, Any]
    keys: dict[str, Any]


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


def make_inputs(trials: Sequence[Leaves], datasets: Sequence[Dataset]) -> Inputs:
    """Return the arrays of a pack, on the host.

    Args:
        trials: leaves of each trial.
        datasets: data set of each trial; equal arrays among them are kept once.
    """
    dtype = train_settings(trials[0]).storage_dtype
    keys = {name: np.stack([stream(leaves[seed], name) for leaves in trials]) for name, seed in STREAMS.items()}
    hypers = {key: _column([leaves[key] for leaves in trials], dtype) for key in hyper_keys(trials[0])}
    shared: dict[str, Any] = {}
    own: dict[str, Any] = {}
    arrays_of = {id(dataset): dataset.arrays for dataset in datasets}
    for name in datasets[0].arrays:
        arrays = [arrays_of[id(dataset)][name] for dataset in datasets]
        distinct = {id(array): array for array in arrays}.values()
        first = arrays[0]
        if all(np.array_equal(first, array) for array in distinct):
            shared[name] = _as(first, dtype)
        else:
            own[name] = np.stack([_as(array, dtype) for array in arrays])
    return Inputs(shared, own, hypers, keys)


def _column(values: Sequence[Any], dtype: str) -> np.ndarray:
    return np.array(values, np.int32 if all(isinstance(value, int) for value in values) else dtype)


def _as(array: np.ndarray, dtype: str) -> np.ndarray:
    return array.astype(dtype) if array.dtype.kind == "f" else array


def make_program(leaves: Leaves, dataset: Dataset, chunk: int = MOST_EXAMPLES) -> Program:
    """Return the program of a pack.

    Args:
        leaves: of the widest trial of the pack; its traced leaves are replaced by each trial's own.
        dataset: any trial's; gives the sizes.
        chunk: examples that go through the network at once, in training and evaluation.
    """
    train = train_settings(leaves)
    spec = dataset.spec
    dtype = jnp.dtype(train.storage_dtype)
    model = build(leaves, "model")
    with inside(model, "PADDED"):
        padded = {axis: leaves[f"model.{name}"] for name, axis in model.PADDED.items()}
    loss_fn = LOSSES[train.loss]

    def component(name: str, hypers: Mapping[str, Any]) -> Any:
        return build({**leaves, **hypers}, name)

    def network_of(hypers: Mapping[str, Any], words: Words) -> Any:
        return make_network(component("model", hypers), spec, Init(words, padded, dtype))

    # The structure of the network, and what it draws, are the same for every trial of the pack.
    recording, shapes = record_draws()
    graph = nnx.split(nnx.eval_shape(lambda: network_of({}, recording)), nnx.Param, Constant)[0]

    def outputs_fn(constants: Any) -> Callable[[Any, jax.Array], jax.Array]:
        def forward(params: Any, inputs: jax.Array) -> jax.Array:
            narrow = partial(_as_compute_type, dtype=jnp.dtype(train.dtype))
            network = nnx.merge(graph, *jax.tree.map(narrow, (params, constants)))
            return apply_network(model, network, narrow(inputs), spec).astype(dtype)

        return forward

    # --- init -------------------------------------------------------------------------------------------------------

    def init_trial(hypers: Mapping[str, Any], key: jax.Array) -> tuple[Any, Any, Any]:
        words = draw_words(key, shapes)
        _, *states = nnx.split(network_of(hypers, lambda name, _shape: words[name]), nnx.Param, Constant)
        params, constants = states
        optimizer = component("optimizer", hypers)
        with inside(optimizer, "make"):
            return params, constants, optimizer.make(optimizer.learning_rate).init(params)

    def init(inputs: Inputs) -> State:
        return State(jnp.zeros((), jnp.int32), *jax.vmap(init_trial)(inputs.hypers, inputs.keys["init"]))

    # --- advance ----------------------------------------------------------------------------------------------------

    def update_trial(params: Any, constants: Any, optimizer_state: Any, hypers: Any, step: Any, batch: Any) -> Any:
        optimizer = component("optimizer", hypers)
        with inside(optimizer, "make"):
            rule = optimizer.make(optimizer.learning_rate_at(step, train.steps))
        forward = outputs_fn(constants)
        _, gradients = mean_and_gradient(forward, lambda *pair: (loss_fn(*pair),), params, batch, chunk)
        # optax counts updates in integers and mixes them with floats
        with inside(optimizer, "make"), jax.numpy_dtype_promotion("standard"):
            updates, optimizer_state = rule.update(gradients, optimizer_state, params)
        return optax.apply_updates(params, updates), optimizer_state

    def advance(state: State, inputs: Inputs, target: Any) -> State:
        def body(step: jax.Array, state: State) -> State:
            def one(params: Any, constants: Any, optimizer_state: Any, hypers: Any, key: Any, own: Any) -> Any:
                batch = _train_set({**inputs.shared, **own})
                if train.batch_size is not None:
                    rows = batch_rows(key, step, spec.num_train, train.batch_size)
                    batch = tuple(array.at[rows].get(mode="promise_in_bounds") for array in batch)
                return update_trial(params, constants, optimizer_state, hypers, step, batch)

            params, optimizer = jax.vmap(one)(*state[1:], inputs.hypers, inputs.keys["batches"], inputs.own)
            return State(step + 1, params, state.constants, optimizer)

        return jax.lax.fori_loop(state.step, target, body, state)

    # --- evaluate ---------------------------------------------------------------------------------------------------

    @jax.jit  # traced once for the shapes of the metrics and for the program
    def evaluate(state: State, inputs: Inputs) -> Metrics:
        def one(params: Any, constants: Any, hypers: Any, own: Any) -> Metrics:
            return evaluate_trial(
                params,
                outputs_fn(constants),
                {**inputs.shared, **own},
                build_measures({**leaves, **hypers}),
                loss=train.loss,
                learning_rate=component("optimizer", hypers).learning_rate_at(state.step, train.steps),
                chunk=chunk,
            )

        return jax.vmap(one)(state.params, state.constants, inputs.hypers, inputs.own)

    def segment(state: State, inputs: Inputs, target: Any) -> tuple[State, Metrics]:
        state = jax.lax.cond(state.step == NOT_BEGUN, lambda: init(inputs), lambda: state)
        state = advance(state, inputs, target)
        return state, evaluate(state, inputs)

    return Program(init, advance, evaluate, segment)


def _as_compute_type(array: jax.Array, dtype: Any) -> jax.Array:
    return array.astype(dtype) if jnp.issubdtype(array.dtype, jnp.floating) else array


def _train_set(data: Mapping[str, Any]) -> tuple[Any, Any]:
    return data["train_inputs"], data["train_targets"]
