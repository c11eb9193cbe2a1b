"""Evaluates planned trials on paper, before anything is stored: what their components' own code gets wrong shows here.

Nothing is computed or compiled: JAX follows the shapes. One trial stands for all that have the same components.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from ddlab.config import Leaves, build, hyper_keys
from ddlab.data import Dataset, Spec, describe
from ddlab.evaluate import Metrics
from ddlab.exact import make_problem, make_solver
from ddlab.outcome import stop_values
from ddlab.plan import Shape, Trial
from ddlab.prepare import precision
from ddlab.train import Inputs, make_inputs, make_program


def rehearse(trials: Sequence[Trial]) -> None:
    """Find out what the metrics of every trial are called.

    Raises:
        ComponentError: from the code of a model or a measure.
        ConfigError: two measures give one name, or `train.stop_metric` names no metric.
    """
    shapes = {id(trial.shape): trial.shape for trial in trials}.values()
    for shape in {_components(shape.leaves): shape for shape in shapes}.values():
        with precision(shape.train):
            metrics = _solved(shape) if shape.exact else _trained(shape)
        if shape.train.stop_metric is not None:
            stop_values(shape.train, metrics)


def _components(leaves: Leaves) -> tuple[tuple[str, Any], ...]:
    """Return what decides which metrics there are."""
    return tuple(
        (key, value) for key, value in leaves.items() if key.endswith("_target_") or key in ("train.loss", "train.stop_metric")
    )


def _trained(shape: Shape) -> Metrics:
    """Return the shapes [1] (or [1, n]) of the metrics of a trial that is trained."""
    blank = _blank(_spec(shape))
    program = make_program(shape.leaves, blank)
    tiny = make_inputs([shape.leaves], [_blank(_tiny(blank.spec))])
    data = {name: jax.ShapeDtypeStruct(array.shape, tiny.shared[name].dtype) for name, array in blank.arrays.items()}
    inputs: Inputs = tiny._replace(shared=data)
    return jax.eval_shape(program.evaluate, jax.eval_shape(program.init, inputs), inputs)


def _solved(shape: Shape) -> Metrics:
    """Return the shapes [E] (or [E, n]) of the metrics of a trial that is solved."""
    spec = _tiny(_spec(shape))
    problem = make_problem([shape.leaves], [_blank(spec)], hyper_keys(shape.leaves), 1)
    metrics = jax.eval_shape(make_solver(shape.leaves, spec), problem)
    return {name: jax.ShapeDtypeStruct(array.shape[2:], array.dtype) for name, array in metrics.items()}


def _spec(shape: Shape) -> Spec:
    return describe(build(shape.leaves, "data"))


def _tiny(spec: Spec) -> Spec:
    return replace(spec, num_train=1, num_test=1)


def _blank(spec: Spec) -> Dataset:
    """Return a data set of zeros, which take no memory."""

    def zeros(num: int, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        return np.broadcast_to(np.zeros((), dtype), (num, *shape))

    inputs = np.float32 if spec.alphabet is None else np.int32
    targets: tuple[tuple[int, ...], Any] = ((spec.num_outputs,), float) if spec.regression else ((), np.int32)
    return Dataset(
        train_inputs=zeros(spec.num_train, spec.input_shape, inputs),
        train_targets=zeros(spec.num_train, *targets),
        test_inputs=zeros(spec.num_test, spec.input_shape, inputs),
        test_targets=zeros(spec.num_test, *targets),
        num_outputs=spec.num_outputs,
        alphabet=spec.alphabet,
        noise_variance=0.0 if spec.regression else None,
        test_nodes=spec.test_nodes,
    )
