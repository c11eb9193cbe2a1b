"""MNIST-1D: nested training sets, and blocks in the cache."""

from __future__ import annotations

import errno
import multiprocessing
import os

import numpy as np
import pytest

from tests.support import SMALL_MNIST, dataset_of, leaves_of

pytestmark = pytest.mark.numeric


def test_mnist1d_training_sets_are_nested_and_balanced():
    small = dataset_of(leaves_of("data.num_train=300", "data.num_test=200"))
    large = dataset_of(leaves_of("data.num_train=5000", "data.num_test=200"))
    np.testing.assert_array_equal(small.train_inputs, large.train_inputs[:300])
    assert large.train_inputs.shape == (5000, 40)
    assert np.bincount(large.train_targets[:4000]).tolist() == [400] * 10
    assert abs(large.train_inputs.std() - 1) < 0.01
    assert not any((small.test_inputs[0] == row).all() for row in small.train_inputs)
    other = dataset_of(leaves_of("data.num_train=300", "data.num_test=200", "data.seed=1"))
    assert not np.array_equal(small.train_inputs, other.train_inputs)


def test_mnist1d_leaves_numpys_global_random_state_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("DDLAB_CACHE", str(tmp_path))
    before = np.random.get_state()[1].copy()
    dataset_of(leaves_of("data.num_train=10", "data.num_test=10"))
    np.testing.assert_array_equal(before, np.random.get_state()[1])


@pytest.mark.parametrize("damage", [b"", b"no archive", None])
def test_a_damaged_cache_file_is_made_anew(tmp_path, monkeypatch, damage):
    monkeypatch.setenv("DDLAB_CACHE", str(tmp_path))
    leaves = leaves_of("data.num_train=10", "data.num_test=10")
    first = dataset_of(leaves)
    for path in tmp_path.glob("*train*.npz"):
        if damage is None:
            with np.load(path) as stored:
                np.savez(path, inputs=stored["inputs"] + 1, targets=stored["targets"], checksum=stored["checksum"])
        else:
            path.write_bytes(damage)
    assert dataset_of(leaves).checksum == first.checksum


def _checksum(_: int) -> str:
    return dataset_of(leaves_of("data.num_train=50", "data.num_test=50", "data.seed=77")).checksum


def test_two_processes_may_generate_the_same_data_at_once():
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        checksums = pool.map(_checksum, range(4))
    assert len(set(checksums)) == 1


def full_disk(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_block_that_does_not_fit_into_the_cache_leaves_no_file_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("DDLAB_CACHE", str(tmp_path))
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full_disk)
        made = dataset_of(leaves_of(*SMALL_MNIST))
    assert list(tmp_path.iterdir()) == []
    assert dataset_of(leaves_of(*SMALL_MNIST)).checksum == made.checksum
    assert len(list(tmp_path.iterdir())) == 2  # of the training and the test examples
