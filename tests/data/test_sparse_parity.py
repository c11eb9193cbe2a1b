"""Sparse parity: its classes, its draws and what its fields change."""

from __future__ import annotations

import numpy as np
import pytest

from ddlab.config.trial import build
from ddlab.data.noise import corrupt
from ddlab.errors import ConfigError
from tests.support import dataset_of, leaves_of

pytestmark = pytest.mark.numeric


def words(**fields):
    sizes = {"num_train": 300, "num_test": 200, "num_bits": 12}
    return "data=sparse_parity", *(f"data.{name}={value}" for name, value in {**sizes, **fields}.items())


def parity(**fields):
    return dataset_of(leaves_of(*words(**fields)))


@pytest.mark.parametrize("k", [1, 3, 12])
def test_the_class_is_the_parity_of_the_first_bits(k):
    data = parity(num_relevant=k)
    assert data.num_classes == 2
    for inputs, targets in data.splits.values():
        np.testing.assert_array_equal(2 * targets - 1, np.prod(inputs[:, :k], axis=1))
        np.testing.assert_array_equal(np.unique(inputs), [-1, 1])


def test_the_sizes_are_known_without_loading():
    source = build(leaves_of(*words()), "data")
    assert source.describe() == source.load().spec
    assert source.describe().inputs.shape == (12,)


def test_bits_are_uniform_and_independent():
    inputs = parity(num_train=40_000).train.inputs
    moments = inputs.T @ inputs / len(inputs)
    np.testing.assert_allclose(inputs.mean(axis=0), 0, atol=5 / np.sqrt(40_000))
    np.testing.assert_allclose(moments, np.eye(12), atol=5 / np.sqrt(40_000))


def test_a_smaller_training_set_is_the_head_of_a_larger_one_and_the_test_set_the_same():
    small, large = (parity(num_train=num) for num in (101, 250))
    np.testing.assert_array_equal(small.train.inputs, large.train.inputs[:101])
    np.testing.assert_array_equal(small.train.targets, large.train.targets[:101])
    for ours, theirs in zip(small.test, large.test, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_training_and_test_examples_are_drawn_apart_and_by_the_seed():
    data, other = parity(num_train=200), parity(num_train=200, seed=1)
    assert not np.array_equal(data.train.inputs, data.test.inputs)
    assert not np.array_equal(data.train.inputs, other.train.inputs)
    assert not np.array_equal(data.test.inputs, other.test.inputs)


def test_the_number_of_relevant_bits_changes_targets_alone():
    few, many = parity(num_relevant=2), parity(num_relevant=5)
    np.testing.assert_array_equal(few.train.inputs, many.train.inputs)
    assert not np.array_equal(few.train.targets, many.train.targets)


def test_training_labels_alone_are_noisy():
    noisy, clean = (parity(label_noise=noise, noise_convention="wrong", noise_seed=4) for noise in (0.2, 0.0))
    np.testing.assert_array_equal(noisy.train.targets, corrupt(clean.train.targets, 0.2, 2, "wrong", seed=4))
    assert np.sum(noisy.train.targets != clean.train.targets) == 60
    np.testing.assert_array_equal(noisy.test.targets, clean.test.targets)


def test_more_relevant_bits_than_there_are_are_refused():
    with pytest.raises(ConfigError, match=r"data\.num_relevant=13: must be at most data\.num_bits=12"):
        build(leaves_of(*words(num_relevant=13)), "data").check()
