"""Which examples a batch holds: a random order of the training set for each epoch, without ever storing it.

The order is a keyed bijection of 0..N-1 (a Feistel cipher), so the rows of a batch are computed from the key and the step
alone: there is no state to carry, to checkpoint or to sort (Mitchell et al. 2022, "Bandwidth-optimal random shuffling").
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

ROUNDS = 4
LEAST_CELLS = 64


def batch_rows(key: jax.Array, step: jax.Array, num_train: int, batch_size: int) -> jax.Array:
    """Return the rows [batch_size] uint32 of the batch of a step.

    An epoch is as many whole batches as there are; the examples that are left over differ from epoch to epoch.

    Args:
        key: [2] uint32, of the trial's stream "batches".
        step: [] int32, updates made before.
        num_train: N.
        batch_size: at most N.
    """
    steps_per_epoch = jnp.uint32(num_train // batch_size)
    step = step.astype(jnp.uint32)
    epoch, position = jax.lax.div(step, steps_per_epoch), jax.lax.rem(step, steps_per_epoch)
    return shuffled(key, epoch, position * batch_size + jnp.arange(batch_size, dtype=jnp.uint32), num_train)


def shuffled(key: jax.Array, epoch: jax.Array, places: jax.Array, num: int) -> jax.Array:
    """Return where the random permutation of 0..num-1 that belongs to a key and an epoch sends `places` [n], [n] uint32.

    A place is a cell of a grid of a x b cells, the fewest (but at least 64) that hold `num`. Each round shifts one
    coordinate by a hash of the other, modulo its size: a bijection of the grid (generalised Feistel cipher; Black, Rogaway
    2002). A place that lands beyond `num` is sent on until it does not (cycle walking): a bijection of 0..num-1.
    """
    a, b = _grid(num)
    counters = epoch.astype(jnp.uint32) * (2 * ROUNDS) + jnp.arange(2 * ROUNDS, dtype=jnp.uint32)
    round_keys = _hash(_hash(counters ^ key[0]) ^ key[1])

    def send(cells: jax.Array) -> jax.Array:
        row, column = cells // jnp.uint32(b), cells % jnp.uint32(b)
        for index in range(0, 2 * ROUNDS, 2):
            row = _shift(row, _hash(column ^ round_keys[index]), a)
            column = _shift(column, _hash(row ^ round_keys[index + 1]), b)
        return row * jnp.uint32(b) + column

    def send_on(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        cells, beyond = carry
        cells = jnp.where(beyond, send(cells), cells)
        return cells, cells >= num

    cells = places.astype(jnp.uint32)
    return jax.lax.while_loop(lambda carry: jnp.any(carry[1]), send_on, (cells, jnp.ones_like(cells, bool)))[0]


def _grid(num: int) -> tuple[int, int]:
    """Return a and b of least a b >= num, both near the square root of num; a grid of few cells would not mix well."""
    num = max(num, LEAST_CELLS)
    root = math.isqrt(num - 1) + 1
    _, a = min((a * math.ceil(num / a), -a) for a in range(math.ceil(root / 2), root + 1))
    return -a, math.ceil(num / -a)


def _shift(coordinate: jax.Array, hashed: jax.Array, size: int) -> jax.Array:
    """Return (coordinate + a number of 0..size-1 drawn by the hash) mod size; size is at most 2^16."""
    moved = coordinate + ((hashed >> 16) * jnp.uint32(size) >> 16)
    return jnp.where(moved >= size, moved - jnp.uint32(size), moved)


def _hash(words: jax.Array) -> jax.Array:
    """Return the finalizer of MurmurHash3 (Appleby 2011) of each word."""
    words = (words ^ (words >> 16)) * jnp.uint32(0x85EBCA6B)
    words = (words ^ (words >> 13)) * jnp.uint32(0xC2B2AE35)
    return words ^ (words >> 16)
