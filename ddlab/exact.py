"""The exact solver: the closed-form counterpart of `ddlab.train` for models that are linear in their parameters.

A *problem* is a set of training features: trials with the same inputs, features and initial readout, which may differ in
targets, noise and optimizer. One singular value decomposition of the features gives every penalty and every step of the
trajectory of all of them (`ddlab.filters`).

Shapes: L trials of a problem, E eval points, N training examples, p features (padded), K outputs, r = min(N, p) modes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ddlab.config import Leaves, build, build_measures, train_settings
from ddlab.data import Dataset, Spec
from ddlab.evaluate import Metrics, evaluate
from ddlab.losses import as_real
from ddlab.measures import Spectrum
from ddlab.models import Init, draw_words
from ddlab.plan import MOST_EXAMPLES
from ddlab.schedules import eval_steps
from ddlab.streams import stream

# Smallest over largest singular value from which on the Gram matrix is used.
GRAM_CONDITION = 1e-4


class Problem(NamedTuple):
    """The arrays of one problem.

    Attributes:
        inputs: name -> array, train_inputs and test_inputs.
        targets: name -> [L, ...], the other arrays of the data sets.
        model: leaf -> [], the traced leaves of the model.
        trials: leaf -> [L], the other traced leaves.
        key: [2] uint32, of the stream "init".
    """

    inputs: dict[str, Any]
    targets: dict[str, Any]
    model: dict[str, Any]
    trials: dict[str, Any]
    key: Any


def make_problem(trials: Sequence[Leaves], datasets: Sequence[Dataset], traced: Sequence[str]) -> Problem:
    """Return the arrays of one problem, on the host.

    Args:
        trials: leaves of each trial.
        datasets: of each trial.
        traced: as `hyper_keys`.
    """
    first = trials[0]
    of_model = [key for key in traced if key.startswith("model.")]
    arrays = [_as_float64(dataset.arrays) for dataset in datasets]
    inputs = {name: arrays[0][name] for name in ("train_inputs", "test_inputs")}
    return Problem(
        inputs=inputs,
        targets={name: np.stack([array[name] for array in arrays]) for name in arrays[0] if name not in inputs},
        model={key: _number(first[key]) for key in of_model},
        trials={key: np.stack([_number(leaves[key]) for leaves in trials]) for key in traced if key not in of_model},
        key=stream(first["seed"], "init"),
    )


def _as_float64(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: array.astype(float) if array.dtype.kind == "f" else array for name, array in arrays.items()}


def _number(value: Any) -> np.ndarray:
    return np.array(value, np.int32 if isinstance(value, int) else float)


def make_solver(leaves: Leaves, spec: Spec) -> Callable[[Problem], Metrics]:
    """Return the function that solves one problem: metrics by name, [L, E] (or [L, E, n]).

    Args:
        leaves: of the widest trial of the pack; its traced leaves are replaced by each trial's own.
        spec: sizes of the data.
    """
    train = train_settings(leaves)
    steps = eval_steps(train)
    model = build(leaves, "model")
    padded = {axis: leaves[f"model.{name}"] for name, axis in model.PADDED.items()}
    shapes: dict[str, tuple[int, ...]] = {}

    def record(name: str, shape: tuple[int, ...]) -> jax.Array:
        shapes[name] = shape
        return jnp.zeros(shape, jnp.uint32)

    nnx.eval_shape(lambda: model.make(spec, Init(record, padded, jnp.float64)))

    def solve(problem: Problem) -> Metrics:
        words = draw_words(problem.key, shapes)
        active = build({**leaves, **problem.model}, "model")
        network = active.make(spec, Init(lambda name, _shape: words[name], padded, jnp.float64))
        params = nnx.state(network, nnx.Param)
        start = network.readout[...]
        features, test_features = map(network.features, (problem.inputs["train_inputs"], problem.inputs["test_inputs"]))
        modes = decompose(features, jnp.minimum(spec.num_train, active.width))

        def of_trial(targets: Mapping[str, jax.Array], hypers: Mapping[str, jax.Array]) -> Metrics:
            trial = {**leaves, **problem.model, **hypers}
            optimizer = build(trial, "optimizer")
            data = {**targets, "train_inputs": features, "test_inputs": test_features}
            real = as_real(targets["train_targets"], spec.num_outputs, features.dtype)
            values = jnp.where(modes.values >= optimizer.cutoff * modes.values[0], modes.values, 0)
            of_targets, of_start = modes.left.T @ real, modes.left.T @ (features @ start)

            def at_step(step: jax.Array) -> Metrics:
                mu = jnp.square(values) / spec.num_train
                learned, kept = optimizer.learned_and_kept(mu, spec.num_outputs, step)
                _, kept_beyond = optimizer.learned_and_kept(jnp.zeros(()), spec.num_outputs, step)
                change = learned[:, None] * of_targets + (kept - kept_beyond)[:, None] * of_start
                solution = kept_beyond * start + modes.combine(change, values)
                return evaluate(
                    jax.tree.map(lambda _: solution, params),
                    lambda params, x: x @ jax.tree.leaves(params)[0],
                    data,
                    build_measures(trial),
                    loss=train.loss,
                    learning_rate=jnp.asarray(optimizer.learning_rate),
                    chunk=MOST_EXAMPLES,
                    spectrum=Spectrum(values, learned, lambda: test_features @ modes.right),
                )

            return jax.vmap(at_step)(jnp.asarray(steps, jnp.int32))

        return jax.vmap(of_trial)(problem.targets, problem.trials)

    return solve


class Modes(NamedTuple):
    """The singular value decomposition X = left diag(values) right' of features [N, p].

    Attributes:
        left: [N, r].
        values: [r], descending; exact zeros beyond the rank.
        right: [p, r].
    """

    left: jax.Array
    values: jax.Array
    right: jax.Array

    def combine(self, components: jax.Array, values: jax.Array) -> jax.Array:
        """Return right diag(1 / values) components [r, K], [p, K]; modes of value 0 do not count."""
        return self.right @ (_inverse(values)[:, None] * components)


def decompose(features: jax.Array, rank: jax.Array) -> Modes:
    """Return the modes of features [N, p].

    The eigenvectors of the smaller Gram matrix are the fastest way, but squaring costs half of the digits: where the condition
    is above 1 / GRAM_CONDITION, the decomposition is made of the features themselves. Either way the modes are right to
    1e-6 or better, and singular values below max(N, p) eps of the largest count as zero.

    Args:
        features: float64.
        rank: [] at most so many values are not zero; known, where features are zero-padded.
    """
    by_gram = _by_gram(features, rank)
    least = jnp.take(by_gram.values, rank - 1)
    return jax.lax.cond(least > GRAM_CONDITION * by_gram.values[0], lambda: by_gram, lambda: _by_svd(features, rank))


def _by_gram(features: jax.Array, rank: jax.Array) -> Modes:
    num_train, width = features.shape
    of_examples = num_train < width
    eigenvalues, vectors = jnp.linalg.eigh(features @ features.T if of_examples else features.T @ features)
    values, vectors = jnp.sqrt(jnp.maximum(eigenvalues[::-1], 0)), vectors[:, ::-1]
    values = jnp.where(jnp.arange(len(values), dtype=jnp.int32) < rank, values, 0)
    if of_examples:
        return Modes(vectors, values, features.T @ vectors * _inverse(values))
    return Modes(features @ vectors * _inverse(values), values, vectors)


def _by_svd(features: jax.Array, rank: jax.Array) -> Modes:
    left, values, right = jnp.linalg.svd(features, full_matrices=False)
    floor = jnp.maximum(features.shape[0], rank).astype(values.dtype) * jnp.finfo(values.dtype).eps * values[0]
    live = (jnp.arange(len(values), dtype=jnp.int32) < rank) & (values > floor)
    return Modes(left, jnp.where(live, values, 0), right.T)


def _inverse(values: jax.Array) -> jax.Array:
    """Return 1 / values, 0 where a value is 0."""
    return jnp.where(values > 0, 1 / jnp.where(values > 0, values, 1), 0)
