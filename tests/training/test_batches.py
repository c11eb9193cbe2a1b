"""Batches: whole epochs, and orders that are uniform as far as a chi-square test sees."""

from __future__ import annotations

import itertools
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddlab.training.batches import Grid, batch_rows, shuffled

pytestmark = pytest.mark.numeric

KEYS = np.random.default_rng(0).integers(2**32, size=(40_000, 2), dtype=np.uint32)


def orders(num, keys=KEYS, epochs=None):
    epochs = np.zeros(len(keys), np.int32) if epochs is None else epochs
    function = jax.jit(jax.vmap(lambda key, epoch: shuffled(key, epoch, jnp.arange(num), Grid.of(num))))
    return np.asarray(function(keys, epochs)).astype(int)


def chi_square_excess(counts):
    """Return (chi^2 - df) / sqrt(2 df) of counts that should be equal: about N(0, 1)."""
    expected, freedom = counts.mean(), counts.size - 1
    return (((counts - expected) ** 2 / expected).sum() - freedom) / np.sqrt(2 * freedom)


@pytest.mark.parametrize("num", [1, 2, 3, 7, 64, 65, 97, 100, 997, 1000, 4096])
def test_every_order_is_a_permutation(num):
    np.testing.assert_array_equal(np.sort(orders(num, KEYS[:50]), axis=1), np.broadcast_to(np.arange(num), (50, num)))


@pytest.mark.parametrize("vary", ["key", "epoch"])
def test_all_permutations_of_a_few_examples_are_equally_frequent(vary):
    several = (
        orders(5) if vary == "key" else orders(5, np.broadcast_to(KEYS[0], KEYS.shape), np.arange(len(KEYS), dtype=np.int32))
    )
    counts = Counter(map(tuple, several.tolist()))
    assert chi_square_excess(np.array([counts[order] for order in itertools.permutations(range(5))])) < 4


@pytest.mark.parametrize("num", [20, 100, 300])
def test_places_neighbours_and_distances_are_uniform(num):
    several = orders(num, KEYS[:20_000])
    assert chi_square_excess(np.bincount(several[:, num // 2], minlength=num)) < 4
    assert chi_square_excess(np.bincount((several[:, 1:] - several[:, :-1]).ravel() % num, minlength=num)[1:]) < 4


def test_batches_of_an_epoch_are_disjoint_and_leave_out_another_rest_each_time():
    def epoch(number, key=KEYS[0]):
        rows = [np.asarray(batch_rows(key, np.int32(number * 3 + step), Grid.of(200), 60)) for step in range(3)]
        assert all(len(batch) == 60 for batch in rows)
        return np.concatenate(rows)

    first, second, other = epoch(0), epoch(1), epoch(0, KEYS[1])
    for rows in (first, second, other):
        assert len(set(rows)) == 180
        assert set(rows) <= set(range(200))
    assert set(first) != set(second)
    assert set(first) != set(other)
