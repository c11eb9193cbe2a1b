"""Losses per example, from outputs and targets: outputs [B, ..., K] for classes [B, ...], and [B, ...] for real numbers [B, ...].

Of an example with several targets, such as a class at each place of a sequence, a loss is the mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Outputs(NamedTuple):
    """What a network gives for B examples.

    Attributes:
        outputs: [B, *spec.output_shape].
        losses: name -> [B], what is added to the training loss; recorded as SPLIT_NAME.
        activations: name -> [B, ...], for measures (`Snapshot.network_fn`).
    """

    outputs: jax.Array
    losses: Mapping[str, jax.Array] = MappingProxyType({})
    activations: Mapping[str, jax.Array] = MappingProxyType({})


def cross_entropy(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Return -log softmax(outputs)[target], [B], in nats, of classes."""
    one_hot = as_real(targets, outputs.shape[-1], outputs.dtype)
    return _per_example(jax.nn.logsumexp(outputs, axis=-1) - jnp.sum(outputs * one_hot, axis=-1))


def mse(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Return the squared error against the target, one-hot where it is a class, averaged over the outputs, [B]."""
    return _per_example(jnp.square(outputs - as_real(targets, outputs.shape[-1], outputs.dtype)))


def as_real(targets: jax.Array, num_outputs: int, dtype: Any) -> jax.Array:
    """Return real targets as they are, and classes [B, ...] as one-hot vectors [B, ..., K]."""
    if jnp.issubdtype(targets.dtype, jnp.floating):
        return targets
    return jax.nn.one_hot(targets, num_outputs, dtype=dtype)


def error(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Return the share of the targets that are not the largest output, [B]."""
    return _per_example((jnp.argmax(outputs, axis=-1).astype(targets.dtype) != targets).astype(outputs.dtype))


def _per_example(values: jax.Array) -> jax.Array:
    """Return the means [B] of values [B, ...]."""
    return jnp.mean(values, axis=tuple(range(1, values.ndim))) if values.ndim > 1 else values


LOSSES: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {"cross_entropy": cross_entropy, "mse": mse}


def objective(loss: str, found: Outputs, targets: jax.Array) -> jax.Array:
    """Return what training makes small, [B]: a loss, and what the network adds to it."""
    return sum(found.losses.values(), LOSSES[loss](found.outputs, targets))


def untrained_loss(loss: str, targets: np.ndarray, num_classes: int | None) -> float:
    """Return the mean loss of a network that has learned nothing: all its outputs are zero.

    That is log of the number of classes for cross_entropy, and for mse the mean square of the targets, 1 over it for classes.

    Args:
        loss: its name.
        targets: [N] classes, or [N, K] real numbers.
        num_classes: of targets that are classes.
    """
    if num_classes is None:
        return float(np.mean(np.square(targets, dtype=float)))
    return math.log(num_classes) if loss == "cross_entropy" else 1 / num_classes
