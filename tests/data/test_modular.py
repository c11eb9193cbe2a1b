"""Modular arithmetic against brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ddlab.config.trial import build
from tests.support import dataset_of, leaves_of

pytestmark = pytest.mark.numeric


@pytest.mark.parametrize("p", [2, 6, 7, 12])
@pytest.mark.parametrize("operation", ["add", "subtract", "multiply", "divide"])
def test_modular_arithmetic_against_brute_force(operation, p):
    data = dataset_of(leaves_of("data=modular", f"data.modulus={p}", f"data.operation={operation}"))
    inputs = np.concatenate([data.train.inputs, data.test.inputs])
    targets = np.concatenate([data.train.targets, data.test.targets])
    found = {(int(a), int(b)): int(c) for (a, b), c in zip(inputs, targets, strict=True)}
    assert len(found) == len(targets)
    for (a, b), c in found.items():
        expected = {"add": (a + b) % p, "subtract": (a - b) % p, "multiply": a * b % p, "divide": c}
        assert c == expected[operation]
        if operation == "divide":
            assert math.gcd(b, p) == 1
            assert c * b % p == a
    invertible = sum(math.gcd(b, p) == 1 for b in range(p))
    assert len(found) == p * (invertible if operation == "divide" else p)


def test_modular_split_has_the_wanted_fraction_and_depends_on_the_seed():
    overrides = ("data=modular", "data.modulus=11", "data.train_fraction=0.3")
    one, same, other = (dataset_of(leaves_of(*overrides, f"data.seed={seed}")) for seed in (1, 1, 2))
    assert len(one.train.targets) == round(0.3 * 121) == build(leaves_of(*overrides), "data").describe().num_train
    np.testing.assert_array_equal(one.train.inputs, same.train.inputs)
    assert not np.array_equal(one.train.inputs, other.train.inputs)
