"""The metrics of one trial at one eval point: what training and the exact solver have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ddlab.errors import ConfigError, inside
from ddlab.losses import LOSSES, error
from ddlab.measures import Measure, Snapshot, Spectrum
from ddlab.measures.examples import mean, mean_and_gradient

Metrics = dict[str, Any]

# Columns of trials and curves that are no metrics.
RESERVED = frozenset(
    (
        "trial_id",
        "step",
        "seed",
        "status",
        "seconds",
        "last_step",
        "num_rows",
        "data_checksum",
        "num_params",
        "num_train",
        "num_outputs",
        "params_per_sample",
        "params_per_sample_output",
    )
)


def evaluate(
    params: Any,
    forward: Callable[[Any, jax.Array], jax.Array],
    data: Mapping[str, jax.Array],
    measures: Sequence[Measure],
    *,
    loss: str,
    learning_rate: Any,
    chunk: int,
    spectrum: Spectrum | None = None,
) -> Metrics:
    """Return losses, errors (of classes) or excess risk (of real targets), and what the measures give, name -> [] (or [n]).

    Args:
        params: of the network, a pytree.
        forward: (params, inputs [B, ...]) -> outputs [B, K].
        data: name -> array, as `Dataset.arrays`.
        measures: of the trial.
        loss: name of the training loss.
        learning_rate: of the next update.
        chunk: examples that go through the network at once.
        spectrum: of the exact solver.

    Raises:
        ConfigError: two measures give one name.
    """
    loss_fn = LOSSES[loss]
    regression = "noise_variance" in data
    train = data["train_inputs"], data["train_targets"]
    test = data["test_inputs"], data["test_targets"]

    def performance(outputs: jax.Array, targets: jax.Array) -> tuple[jax.Array, ...]:
        losses = loss_fn(outputs, targets)
        return (losses,) if regression else (losses, error(outputs, targets))

    if any(getattr(measure, "needs_gradient", False) for measure in measures):
        of_train, gradient = mean_and_gradient(forward, performance, params, train, chunk)
    else:
        of_train, gradient = mean(forward, performance, params, train, chunk), None
    of_test = mean(forward, performance, params, test, chunk)
    metrics: Metrics = {"train_loss": of_train[0], "test_loss": of_test[0]}
    if regression:
        metrics |= {"test_loss": of_test[0] + data["noise_variance"], "excess_risk": of_test[0]}
    else:
        metrics |= {"train_error": of_train[1], "test_error": of_test[1]}
    snapshot = Snapshot(
        params=params,
        gradient=gradient,
        outputs_fn=forward,
        mean_fn=lambda per_example, params, examples: mean(forward, per_example, params, examples, chunk),
        loss_fn=loss_fn,
        train=train,
        test=test,
        noise_variance=data.get("noise_variance"),
        learning_rate=learning_rate,
        spectrum=spectrum,
    )
    for measure in measures:
        found = _measured(measure, snapshot)
        if taken := sorted(found.keys() & (metrics.keys() | RESERVED)):
            raise ConfigError(f"measures: {type(measure).__name__} gives {taken[0]}, which is another column's name")
        metrics |= found
    return metrics


def _measured(measure: Measure, snapshot: Snapshot) -> Metrics:
    """Return what a measure gives, numbers [] and vectors [n] by name.

    Raises:
        ComponentError: from the measure's own code, or where it gives anything else.
    """
    with inside(measure):
        found = measure(snapshot)
        if not isinstance(found, Mapping) or not all(isinstance(name, str) for name in found):
            raise TypeError(f"must return a mapping from names to numbers, not {type(found).__name__}")
        arrays = {name: jnp.asarray(value) for name, value in found.items()}
        for name, array in arrays.items():
            if array.ndim > 1 or not (jnp.issubdtype(array.dtype, jnp.number) or array.dtype == bool):
                raise TypeError(f"'{name}' must be a real number or a short vector, not {array.dtype} of shape {array.shape}")
    return arrays
