"""The examples of a split inside a program, and sums over them, a chunk at a time, so that memory does not grow with the data.

Trials of one program may have data of their own, and fewer examples than its arrays have rows: the first ones count.

Shapes: D data sets, N rows, B examples of a chunk or a batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Forward = Callable[[Any, jax.Array], Any]
PerExample = Callable[[Any, jax.Array], Any]


@dataclass(frozen=True)
class Examples:
    """The examples of one split of one trial's data.

    Attributes:
        arrays: inputs [D, N, ...] and targets [D, N, ...] of all data sets that differ.
        which: of each, the one that is the trial's, [] int32.
        num: how many rows are the trial's, the first ones: a number where all trials have as many rows as there are, or else [].
        most: no trial that is at work beside this one has more; [], the same for all of them.
    """

    arrays: tuple[jax.Array, jax.Array]
    which: tuple[Any, Any]
    num: Any
    most: Any

    @staticmethod
    def of(inputs: jax.Array, targets: jax.Array) -> Examples:
        """Return examples [N, ...] all of which count."""
        return Examples((inputs[None], targets[None]), (0, 0), len(targets), len(targets))

    @property
    def rows(self) -> int:
        """N."""
        return self.arrays[1].shape[1]

    @property
    def inputs(self) -> jax.Array:
        """All inputs, [N, ...]; those beyond `num` are of nobody."""
        return self.piece(0, self.rows)[0]

    @property
    def targets(self) -> jax.Array:
        """All targets, [N, ...]."""
        return self.piece(0, self.rows)[1]

    @property
    def live(self) -> jax.Array:
        """Which rows count, [N] bool."""
        return jnp.arange(self.rows, dtype=jnp.int32) < self.num

    def paired(self, others: jax.Array) -> Examples:
        """Return them with pairs as targets, [N, ..., 2]: the target, and that of `others` [N, ...]."""
        pairs = jnp.stack([self.targets, others], axis=-1)
        return replace(self, arrays=(self.arrays[0], pairs[None]), which=(self.which[0], 0))

    def take(self, rows: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the inputs and targets of some rows [B] uint32."""

        def taken(array: jax.Array, which: Any) -> jax.Array:
            if len(array) == 1:
                return array[0].at[rows].get(mode="promise_in_bounds")
            return array.at[jnp.asarray(which, rows.dtype), rows].get(mode="promise_in_bounds")

        inputs, targets = map(taken, self.arrays, self.which)
        return inputs, targets

    def piece(self, start: Any, length: int) -> tuple[jax.Array, jax.Array]:
        """Return the inputs and targets of `length` rows from `start` on."""

        def cut(array: jax.Array, which: Any) -> jax.Array:
            if len(array) == 1:
                return jax.lax.dynamic_slice_in_dim(array[0], start, length) if length < array.shape[1] else array[0]
            begin = [jnp.asarray(index, jnp.int32) for index in (which, start, *[0] * (array.ndim - 2))]
            return jax.lax.dynamic_slice(array, begin, (1, length, *array.shape[2:]))[0]

        inputs, targets = map(cut, self.arrays, self.which)
        return inputs, targets


def mean(forward: Forward, per_example: PerExample, params: Any, examples: Examples, chunk: int) -> Any:
    """Return the mean over examples of `per_example(outputs, targets)`, a pytree of [B] arrays.

    It can be differentiated: the backward pass computes each chunk anew.
    """

    @jax.checkpoint
    def part(inputs: jax.Array, targets: jax.Array, live: jax.Array, places: jax.Array) -> Any:
        del places
        return live_sum(per_example(forward(params, inputs), targets), live)

    return divided(sum_over_chunks(part, examples, chunk, examples.rows), examples.num)


def measured_mean(forward: Forward, per_example: PerExample, params: Any, examples: Examples, chunk: int) -> Any:
    """Return what `mean` does, in as few chunks as the trials at work need; it cannot be differentiated."""

    def part(inputs: jax.Array, targets: jax.Array, live: jax.Array, places: jax.Array) -> Any:
        del places
        return live_sum(per_example(forward(params, inputs), targets), live)

    return divided(sum_over_chunks(part, examples, chunk, examples.most), examples.num)


def mean_gradient(forward: Forward, per_example: PerExample, params: Any, examples: Examples, chunk: int) -> Any:
    """Return the gradient of the mean over examples of `per_example(outputs, targets)`, [B], in one pass over the examples."""

    def part(inputs: jax.Array, targets: jax.Array, live: jax.Array, places: jax.Array) -> Any:
        del places
        return jax.grad(lambda params: live_sum(per_example(forward(params, inputs), targets), live))(params)

    return divided(sum_over_chunks(part, examples, chunk, examples.most), examples.num)


def sum_over_chunks(part: Callable[..., Any], examples: Examples, chunk: int, most: Any) -> Any:
    """Return the sum of `part(inputs, targets, live, places)` over equally long chunks of at most `chunk` examples.

    The last chunk of all rows begins early enough to be whole; its examples that an earlier chunk has counted are not live.

    Args:
        part: of B examples, B bool that say which of them count, and their rows [B] int32.
        examples: all of them.
        chunk: B, at most.
        most: rows behind which no more chunk is needed.
    """
    num_chunks = math.ceil(examples.rows / chunk)
    length = math.ceil(examples.rows / num_chunks)

    def of_chunk(index: Any) -> Any:
        start = jnp.minimum(index * length, examples.rows - length)
        places = start + jnp.arange(length, dtype=jnp.int32)
        return part(*examples.piece(start, length), (places >= index * length) & (places < examples.num), places)

    if num_chunks == 1:
        return part(examples.inputs, examples.targets, examples.live, jnp.arange(examples.rows, dtype=jnp.int32))
    needed = np.int32(num_chunks) if isinstance(most, int) else (most + (length - 1)) // length
    zeros = jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), jax.eval_shape(of_chunk, jnp.int32(0)))
    return jax.lax.fori_loop(np.int32(0), needed, lambda index, sums: jax.tree.map(jnp.add, sums, of_chunk(index)), zeros)


def live_sum(values: Any, live: jax.Array) -> Any:
    """Return the sums of a pytree of arrays [B] over the examples that count."""
    return jax.tree.map(lambda value: jnp.sum(jnp.where(live, value, jnp.zeros_like(value))), values)


def divided(sums: Any, num: Any) -> Any:
    """Return sums, a pytree, divided by a number of examples."""
    return jax.tree.map(lambda total: total / jnp.asarray(num, total.dtype), sums)
