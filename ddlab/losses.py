"""Losses per example, from outputs [B, K] and targets: integer classes [B], or real numbers [B, K]."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def cross_entropy(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Return -log softmax(outputs)[target], [B], in nats, of classes."""
    one_hot = as_real(targets, outputs.shape[-1], outputs.dtype)
    return jax.nn.logsumexp(outputs, axis=-1) - jnp.sum(outputs * one_hot, axis=-1)


def mse(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Return the squared error against the target, one-hot where it is a class, averaged over the K outputs, [B]."""
    return jnp.mean(jnp.square(outputs - as_real(targets, outputs.shape[-1], outputs.dtype)), axis=-1)


def as_real(targets: jax.Array, num_outputs: int, dtype: Any) -> jax.Array:
    """Return real targets [B, K] as they are, and classes [B] as one-hot vectors [B, K]."""
    if jnp.issubdtype(targets.dtype, jnp.floating):
        return targets
    return jax.nn.one_hot(targets, num_outputs, dtype=dtype)


def error(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Return 1 where the largest output is not the target, else 0, [B]."""
    return (jnp.argmax(outputs, axis=-1).astype(targets.dtype) != targets).astype(outputs.dtype)


LOSSES: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {"cross_entropy": cross_entropy, "mse": mse}


def untrained_loss(loss: str, targets: np.ndarray, num_outputs: int) -> float:
    """Return the mean loss of a network that has learned nothing: all its outputs are zero.

    That is log K for cross_entropy, and for mse the mean square of the targets, 1/K where they are classes.

    Args:
        loss: its name.
        targets: [N] classes, or [N, K] real numbers.
        num_outputs: K.
    """
    if loss == "cross_entropy":
        return math.log(num_outputs)
    return float(np.mean(np.square(targets, dtype=float))) if targets.dtype.kind == "f" else 1 / num_outputs
