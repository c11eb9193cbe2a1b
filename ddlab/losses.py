"""Losses per example, from outputs [B, K] and integer targets [B]."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp


def cross_entropy(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Return -log softmax(outputs)[target], [B], in nats."""
    return jax.nn.logsumexp(outputs, axis=-1) - jnp.sum(outputs * _one_hot(targets, outputs), axis=-1)


def mse(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Return the squared error against the one-hot target, averaged over the K outputs, [B]."""
    return jnp.mean(jnp.square(outputs - _one_hot(targets, outputs)), axis=-1)


def _one_hot(targets: jax.Array, outputs: jax.Array) -> jax.Array:
    return jax.nn.one_hot(targets, outputs.shape[-1], dtype=outputs.dtype)


def error(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Return 1 where the largest output is not the target, else 0, [B]."""
    return (jnp.argmax(outputs, axis=-1).astype(targets.dtype) != targets).astype(outputs.dtype)


LOSSES: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {"cross_entropy": cross_entropy, "mse": mse}
