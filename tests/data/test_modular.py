"""Modular arithmetic against brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ddlab.config.trial import build
from ddlab.data.modular import OPERATIONS
from tests.support import dataset_of, leaves_of

pytestmark = pytest.mark.numeric


def quotient(a, b, p):
    """Return the c with c b = a mod p; None where there is not one for every a."""
    return next(c for c in range(p) if c * b % p == a) if math.gcd(b, p) == 1 else None


# What each operation gives of one pair; None: there is no such pair.
EXPECTED = {
    "add": lambda a, b, p: (a + b) % p,
    "subtract": lambda a, b, p: (a - b) % p,
    "multiply": lambda a, b, p: a * b % p,
    "divide": quotient,
    "parity_split": lambda a, b, p: quotient(a, b, p) if b % 2 else (a - b) % p,
    "a2+b2": lambda a, b, p: (a * a + b * b) % p,
    "a2+ab+b2": lambda a, b, p: (a * a + a * b + b * b) % p,
    "a2+ab+b2+a": lambda a, b, p: (a * a + a * b + b * b + a) % p,
    "a3+ab": lambda a, b, p: (a * a * a + a * b) % p,
    "a3+ab2+b": lambda a, b, p: (a * a * a + a * b * b + b) % p,
    "add_integers": lambda a, b, _p: a + b,
}


def words(operation, p):
    return "data=modular", f"data.modulus={p}", f"data.operation={operation}"


def table(operation, p):
    """Return the whole table, (a, b) -> c, that the pairs of both splits are."""
    data = dataset_of(leaves_of(*words(operation, p)))
    pairs = np.concatenate([data.train.inputs, data.test.inputs]).tolist()
    results = np.concatenate([data.train.targets, data.test.targets]).tolist()
    found = {(a, b): c for (a, b), c in zip(pairs, results, strict=True)}
    assert len(found) == len(results)
    return found


@pytest.mark.parametrize("p", [2, 6, 7, 12])
@pytest.mark.parametrize("operation", EXPECTED)
def test_modular_arithmetic_against_brute_force(operation, p):
    grid = {(a, b): EXPECTED[operation](a, b, p) for a in range(p) for b in range(p)}
    assert table(operation, p) == {pair: c for pair, c in grid.items() if c is not None}


def test_every_operation_is_among_them():
    assert OPERATIONS.keys() == EXPECTED.keys()


@pytest.mark.parametrize("operation", EXPECTED)
def test_an_operation_is_symmetric_where_it_says_so(operation):
    """In their whole tables; a + b and a - b are the same mod 2 alone."""
    found = table(operation, 7)
    data = build(leaves_of(*words(operation, 7)), "data")
    assert data.is_symmetric == all(found.get((b, a)) == c for (a, b), c in found.items())


def test_the_sum_of_integers_has_a_class_of_its_own_for_each_sum():
    data = dataset_of(leaves_of(*words("add_integers", 7)))
    assert data.num_classes == 13
    assert data.num_tokens == 7
    assert max(data.train.targets.max(), data.test.targets.max()) == 12


def test_cubes_of_the_largest_modulus_do_not_overflow():
    data = build(leaves_of(*words("a3+ab2+b", 10_000)), "data")
    found = data.result(np.array([9999]), np.array([9998]))
    assert found.tolist() == [(9999**3 + 9999 * 9998**2 + 9998) % 10_000]
