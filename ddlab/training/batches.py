"""Which examples a batch holds: a random order of the training set for each epoch, without ever storing it.

The order is a keyed bijection of 0..N-1 (a Feistel cipher), so the rows of a batch are computed from the key and the step
alone: there is no state to carry, to checkpoint or to sort (Mitchell et al. 2022, "Bandwidth-optimal random shuffling").
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

ROUNDS = 4
LEAST_CELLS = 64


class Grid(NamedTuple):
    """The cells that a training set is laid out in: the fewest (but at least 64) of `rows` x `columns` that hold it.

    Attributes:
        num: N.
        rows: near the square root of N.
        columns: likewise.
    """

    num: Any
    rows: Any
    columns: Any

    @staticmethod
    def of(num: int) -> Grid:
        """Return the grid of N examples; one of few cells would not mix well."""
        least = max(num, LEAST_CELLS)
        root = math.isqrt(least - 1) + 1
        _, rows = min((rows * math.ceil(least / rows), -rows) for rows in range(math.ceil(root / 2), root + 1))
        return Grid(num, -rows, math.ceil(least / -rows))


def batch_rows(key: jax.Array, step: jax.Array, grid: Grid, batch_size: int) -> jax.Array:
    """Return the rows [batch_size] uint32 of the batch of a step.

    An epoch is as many whole batches as there are; the examples that are left over differ from epoch to epoch.

    Args:
        key: [2] uint32, of the trial's stream "batches".
        step: [] int32, updates made before.
        grid: of the training set; its numbers, or arrays [] uint32 where trials differ.
        batch_size: at most N.
    """
    steps_per_epoch = jnp.uint32(grid.num // batch_size)
    step = step.astype(jnp.uint32)
    epoch, position = jax.lax.div(step, steps_per_epoch), jax.lax.rem(step, steps_per_epoch)
    return shuffled(key, epoch, position * batch_size + jnp.arange(batch_size, dtype=jnp.uint32), grid)


def shuffled(key: jax.Array, epoch: jax.Array, places: jax.Array, grid: Grid) -> jax.Array:
    """Return where the random permutation of 0..N-1 that belongs to a key and an epoch sends `places` [n], [n] uint32.

    A place is a cell of the grid. Each round shifts one coordinate by a hash of the other, modulo its size: a bijection of the
    grid (generalised Feistel cipher; Black, Rogaway 2002). A place that lands beyond N is sent on until it does not (cycle
    walking): a bijection of 0..N-1.
    """
    num, a, b = (jnp.uint32(number) for number in grid)
    counters = epoch.astype(jnp.uint32) * (2 * ROUNDS) + jnp.arange(2 * ROUNDS, dtype=jnp.uint32)
    round_keys = _hash(_hash(counters ^ key[0]) ^ key[1])

    def send(cells: jax.Array) -> jax.Array:
        row, column = cells // b, cells % b
        for index in range(0, 2 * ROUNDS, 2):
            row = _shift(row, _hash(column ^ round_keys[index]), a)
            column = _shift(column, _hash(row ^ round_keys[index + 1]), b)
        return row * b + column

    def send_on(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        cells, beyond = carry
        cells = jnp.where(beyond, send(cells), cells)
        return cells, cells >= num

    cells = places.astype(jnp.uint32)
    return jax.lax.while_loop(lambda carry: jnp.any(carry[1]), send_on, (cells, jnp.ones_like(cells, bool)))[0]


def _shift(coordinate: jax.Array, hashed: jax.Array, size: jax.Array) -> jax.Array:
    """Return (coordinate + a number of 0..size-1 drawn by the hash) mod size; size is at most 2^16."""
    moved = coordinate + ((hashed >> 16) * size >> 16)
    return jnp.where(moved >= size, moved - size, moved)


def _hash(words: jax.Array) -> jax.Array:
    """Return the finalizer of MurmurHash3 (Appleby 2011) of each word."""
    words = (words ^ (words >> 16)) * jnp.uint32(0x85EBCA6B)
    words = (words ^ (words >> 13)) * jnp.uint32(0xC2B2AE35)
    return words ^ (words >> 16)
