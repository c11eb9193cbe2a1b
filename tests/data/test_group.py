"""Permutation groups against products of permutation matrices."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from ddlab.config.trial import build
from ddlab.errors import ConfigError
from tests.support import dataset_of, leaves_of

pytestmark = pytest.mark.numeric

# Of the matrices X and Y.
EXPECTED = {
    "compose": lambda x, y: x @ y,
    "conjugate": lambda x, y: x @ y @ np.linalg.inv(x),
    "sandwich": lambda x, y: x @ y @ x,
}


def matrices(group):
    """Return the matrices, with X e_i = e_x(i), in the order of the permutations; the even ones have determinant 1."""
    size = int(group[1])
    all_of_them = [np.eye(size)[:, list(p)] for p in itertools.permutations(range(size))]
    return [matrix for matrix in all_of_them if group[0] == "S" or np.linalg.det(matrix) > 0]


@pytest.mark.parametrize("group", ["S3", "S4", "A4", "A5"])
@pytest.mark.parametrize("operation", EXPECTED)
def test_the_table_is_that_of_the_matrices(group, operation):
    data = dataset_of(leaves_of("data=group", f"data.group={group}", f"data.operation={operation}"))
    elements = matrices(group)
    assert data.num_classes == data.num_tokens == len(elements)
    pairs = np.concatenate([data.train.inputs, data.test.inputs])
    assert sorted(map(tuple, pairs.tolist())) == list(itertools.product(range(len(elements)), repeat=2))
    results = np.concatenate([data.train.targets, data.test.targets])
    for (x, y), result in zip(pairs, results, strict=True):
        np.testing.assert_allclose(elements[result], EXPECTED[operation](elements[x], elements[y]), atol=1e-12)


@pytest.mark.parametrize(("group", "order"), [("S3", 6), ("S4", 24), ("S5", 120), ("A4", 12), ("A5", 60)])
def test_a_table_has_all_pairs_and_its_composition_is_a_latin_square(group, order):
    data = dataset_of(leaves_of("data=group", f"data.group={group}", "data.train_fraction=0.7"))
    assert (data.train.num, data.test.num) == (round(0.7 * order**2), order**2 - round(0.7 * order**2))
    pairs = np.concatenate([data.train.inputs, data.test.inputs])
    results = np.concatenate([data.train.targets, data.test.targets])
    table = np.zeros((order, order), int)
    table[pairs[:, 0], pairs[:, 1]] = results
    assert order == math.factorial(int(group[1])) // (1 if group[0] == "S" else 2)
    for rows in (table, table.T):
        np.testing.assert_array_equal(np.sort(rows, axis=1), np.tile(np.arange(order), (order, 1)))
    np.testing.assert_array_equal(table[0], np.arange(order))  # the identity comes first


def test_pairs_of_both_orders_in_one_are_refused():
    source = build(leaves_of("data=group", "data.pairs=mirrored"), "data")
    with pytest.raises(ConfigError, match=r"data\.pairs=mirrored: must be all with data\.operation=compose"):
        source.check()
