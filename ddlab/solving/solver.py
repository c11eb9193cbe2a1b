"""The exact solver: the closed-form counterpart of `ddlab.training.program` for models that are linear in their parameters.

A *problem* (`ddlab.solving.problem`) is a set of training inputs and a draw of the model. Features are nested, so those of a
problem's widest trial serve all its widths; at each width one singular value decomposition (`ddlab.solving.modes`) gives every
penalty and every step of the trajectory of all its trials (`ddlab.optimizers.closed_forms`).

Shapes: W widths of a problem, L trials at each, E eval points, N training and T test examples, p features (padded), K outputs.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ddlab.config.schema import Science
from ddlab.data import TEST, TRAIN, TRUTH, Spec
from ddlab.devices.layout import MOST_EXAMPLES
from ddlab.losses import Outputs, as_real
from ddlab.measures import Spectrum
from ddlab.measures.evaluate import Metrics, Subject, by_every, is_due, joined, where_due
from ddlab.measures.examples import Examples
from ddlab.measures.points import eval_steps
from ddlab.models import FeatureModel, FeatureNetwork, Init
from ddlab.models.base import make_network
from ddlab.models.init import draw_words, record_draws
from ddlab.solving.modes import Modes, inverse, nested
from ddlab.solving.problem import Problem


def make_solver(config: Science, spec: Spec, evals: int | None = None) -> Callable[[Problem], Metrics]:
    """Return the function that solves one problem: metrics by name, [W, L, E] (or [W, L, E, n]).

    Args:
        config: that the trials of the pack are padded to.
        spec: sizes of the data.
        evals: eval points that are evaluated together; None: all.
    """
    words, shapes = record_draws()
    recording = Init(words, dtype=jnp.float64)
    nnx.eval_shape(lambda: make_network(config.model, spec, recording))

    def solve(problem: Problem) -> Metrics:
        words = draw_words(problem.key, shapes)

        def network_of(model: FeatureModel) -> FeatureNetwork:
            network = make_network(model, spec, Init(lambda name, _shape: words[name], recording.sizes, jnp.float64))
            assert isinstance(network, FeatureNetwork)
            return network

        widest = network_of(jax.tree.map(lambda numbers: numbers[-1], problem.models))
        columns = jnp.concatenate([widest.columns(problem.inputs[split]) for split in spec.splits])
        begin, step = nested(columns[: spec.num_train])

        def at_width(carry: Any, own: tuple[Any, Any, Any]) -> tuple[Any, Metrics]:
            model, targets, trials = own
            network = network_of(model)
            carry, modes = step(carry, model.width, network.scale[...])

            def of_trial(targets: Mapping[str, jax.Array], trial: Science) -> Metrics:
                return _trajectory(columns, network, modes, targets, trial, spec, evals)

            return carry, jax.vmap(of_trial)(targets, trials)

        return jax.lax.scan(at_width, begin, (problem.models, problem.targets, problem.trials))[1]

    return solve


def _trajectory(
    columns: jax.Array,
    network: FeatureNetwork,
    modes: Modes,
    targets: Mapping[str, jax.Array],
    trial: Science,
    spec: Spec,
    evals: int | None,
) -> Metrics:
    """Return the metrics of one trial, [E].

    Args:
        columns: [N + T, p], split by split, of the training examples first.
        network: at its start.
        modes: of the training features.
        targets: name -> array, the data set without its inputs.
        trial: its config.
        spec: sizes of the data.
        evals: as in `make_solver`.
    """
    train, optimizer, groups = trial.train, trial.optimizer, by_every(trial.measures)
    scale, start = network.scale[...], network.readout[...]
    ends = itertools.accumulate(spec.sizes[split] for split in spec.splits)
    pieces = zip(spec.splits, jnp.split(columns, list(ends)[:-1]), strict=True)
    splits = {split: Examples.of(inputs, targets[f"{split}_targets"]) for split, inputs in pieces}
    values = jnp.where(modes.values >= optimizer.cutoff * modes.values[0], modes.values, 0)

    def forward(params: Mapping[str, jax.Array], columns: jax.Array) -> jax.Array:
        return columns @ (scale[:, None] * params["readout"])

    def test_modes() -> jax.Array:
        return forward({"readout": modes.along_right(jnp.eye(len(values), dtype=values.dtype))}, splits[TEST].inputs)

    train_inputs, train_targets = splits[TRAIN].piece(0, spec.num_train)
    of_targets = modes.left.T @ as_real(train_targets, spec.num_outputs, columns.dtype)
    of_start = modes.left.T @ forward({"readout": start}, train_inputs)

    def at_step(step: jax.Array) -> Metrics:
        mu = jnp.square(values) / spec.num_train
        learned, kept = optimizer.learned_and_kept(mu, spec.num_outputs, step)
        _, kept_beyond = optimizer.learned_and_kept(jnp.zeros(()), spec.num_outputs, step)
        change = learned[:, None] * of_targets + (kept - kept_beyond)[:, None] * of_start
        subject = Subject(
            {"readout": kept_beyond * start + modes.along_right(inverse(values)[:, None] * change)},
            lambda params, columns: Outputs(forward(params, columns)),
            splits,
            splits[TRAIN].paired(targets[TRUTH]) if TRUTH in targets else None,
            targets.get("noise_variance"),
            loss=train.loss,
            start_fn=lambda: {"readout": start},
            learning_rate=jnp.asarray(optimizer.learning_rate),
            chunk=MOST_EXAMPLES,
            spectrum=Spectrum(values, learned, test_modes),
        )
        metrics = subject.losses()
        for every, group in groups.items():
            found = subject.measured(group)
            # Eval points are solved side by side, which leaves no branch: what is not due is computed, and not recorded.
            metrics = joined(metrics, group, found if every == 1 else where_due(is_due(every, train, step), found))
        return metrics

    steps = jnp.asarray(eval_steps(train), jnp.int32)
    if evals is None or evals >= len(steps):
        return jax.vmap(at_step)(steps)
    return jax.lax.map(at_step, steps, batch_size=evals)
