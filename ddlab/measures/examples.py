"""Sums over all examples of a data set, a chunk at a time, so that memory does not grow with the data."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Examples = tuple[jax.Array, jax.Array]
Forward = Callable[[Any, jax.Array], jax.Array]
PerExample = Callable[[jax.Array, jax.Array], Any]


def mean(forward: Forward, per_example: PerExample, params: Any, examples: Examples, chunk: int) -> Any:
    """Return the mean over examples (inputs, targets) of `per_example(outputs, targets)`, a pytree of [B] arrays.

    It can be differentiated: the backward pass computes each chunk anew.
    """

    @jax.checkpoint
    def part(inputs: jax.Array, targets: jax.Array, live: jax.Array) -> Any:
        return _live_sum(per_example(forward(params, inputs), targets), live)

    return _mean_over_chunks(part, examples, chunk)


def mean_gradient(forward: Forward, per_example: PerExample, params: Any, examples: Examples, chunk: int) -> Any:
    """Return the gradient of the mean over examples of `per_example(outputs, targets)`, [B], in one pass over the examples."""

    def part(inputs: jax.Array, targets: jax.Array, live: jax.Array) -> Any:
        return jax.grad(lambda params: _live_sum(per_example(forward(params, inputs), targets), live))(params)

    return _mean_over_chunks(part, examples, chunk)


def _mean_over_chunks(part: Callable[..., Any], examples: Examples, chunk: int) -> Any:
    """Return 1/N times the sum of `part(inputs, targets, live)` over equally long chunks of at most `chunk` examples.

    The last chunk begins early enough to be whole; its examples that an earlier chunk has counted are not live.
    """
    num_examples = len(examples[1])
    num_chunks = math.ceil(num_examples / chunk)
    length = math.ceil(num_examples / num_chunks)

    def of_chunk(index: jax.Array) -> Any:
        start = jnp.minimum(index * length, num_examples - length)
        piece = [jax.lax.dynamic_slice_in_dim(array, start, length) for array in examples]
        return part(*piece, start + jnp.arange(length, dtype=jnp.int32) >= index * length)

    def add(sums: Any, index: jax.Array) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, sums, of_chunk(index)), None

    if num_chunks == 1:
        sums = part(*examples, jnp.ones(num_examples, bool))
    else:
        zeros = jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), jax.eval_shape(of_chunk, jnp.int32(0)))
        sums, _ = jax.lax.scan(add, zeros, jnp.arange(num_chunks, dtype=jnp.int32))
    return jax.tree.map(lambda total: total / num_examples, sums)


def _live_sum(values: Any, live: jax.Array) -> Any:
    return jax.tree.map(lambda value: jnp.sum(jnp.where(live, value, jnp.zeros_like(value))), values)
