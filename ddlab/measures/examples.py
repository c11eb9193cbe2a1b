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
    def part(inputs: jax.Array, targets: jax.Array, weights: jax.Array) -> Any:
        return _weighted(per_example(forward(params, inputs), targets), weights)

    return _sum_over_chunks(part, examples, chunk)


def mean_and_gradient(forward: Forward, per_example: PerExample, params: Any, examples: Examples, chunk: int) -> tuple[Any, Any]:
    """Return the means as `mean`, of a tuple, and the gradient of the first of them, in one pass over the examples."""

    def part(inputs: jax.Array, targets: jax.Array, weights: jax.Array) -> Any:
        def first_and_all(params: Any) -> tuple[Any, Any]:
            means = _weighted(per_example(forward(params, inputs), targets), weights)
            return means[0], means

        gradient, means = jax.grad(first_and_all, has_aux=True)(params)
        return means, gradient

    return _sum_over_chunks(part, examples, chunk)


def _sum_over_chunks(part: Callable[..., Any], examples: Examples, chunk: int) -> Any:
    """Return the sum of `part(inputs, targets, weights)` over equally long chunks of at most `chunk` examples.

    The last chunk begins early enough to be whole; its examples that an earlier chunk has counted have weight zero, all
    others 1 / N.
    """
    num_examples = len(examples[1])
    num_chunks = math.ceil(num_examples / chunk)
    length = math.ceil(num_examples / num_chunks)
    if num_chunks == 1:
        return part(*examples, jnp.full(num_examples, 1 / num_examples))

    def of_chunk(index: jax.Array) -> Any:
        start = jnp.minimum(index * length, num_examples - length)
        piece = [jax.lax.dynamic_slice_in_dim(array, start, length) for array in examples]
        return part(*piece, jnp.where(start + jnp.arange(length) >= index * length, 1 / num_examples, 0.0))

    def add(sums: Any, index: jax.Array) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, sums, of_chunk(index)), None

    zeros = jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), jax.eval_shape(of_chunk, jnp.int32(0)))
    return jax.lax.scan(add, zeros, jnp.arange(num_chunks))[0]


def _weighted(values: Any, weights: jax.Array) -> Any:
    return jax.tree.map(lambda value: jnp.sum(value * weights.astype(value.dtype)), values)
