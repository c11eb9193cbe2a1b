"""MNIST-1D: nested training sets, and blocks in the cache."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import numpy as np
import pytest
from mnist1d.data import get_dataset_args, make_dataset

from ddlab.data import mnist1d
from ddlab.streams import seed_of
from tests.support import SMALL_MNIST, dataset_of, leaves_of

pytestmark = pytest.mark.numeric


@pytest.fixture
def small_blocks(tmp_path, monkeypatch):
    """Blocks that are made in a moment, and an empty directory where they are kept."""
    monkeypatch.setattr(mnist1d, "BLOCK", 400)
    monkeypatch.setenv("DDLAB_CACHE", str(tmp_path))
    return tmp_path


def test_mnist1d_training_sets_are_nested_and_balanced(small_blocks):
    small = dataset_of(leaves_of("data.num_train=30", "data.num_test=20"))
    large = dataset_of(leaves_of("data.num_train=1000", "data.num_test=20"))
    np.testing.assert_array_equal(small.train.inputs, large.train.inputs[:30])
    assert large.train.inputs.shape == (1000, 40)
    assert np.bincount(large.train.targets[:800]).tolist() == [80] * 10
    assert abs(large.train.inputs.std() - 1) < 0.01
    assert not any((small.test.inputs[0] == row).all() for row in small.train.inputs)
    other = dataset_of(leaves_of("data.num_train=30", "data.num_test=20", "data.seed=1"))
    assert not np.array_equal(small.train.inputs, other.train.inputs)


def test_validation_examples_are_others_and_noisy_like_those_of_training(small_blocks):
    words = "data.num_train=30", "data.num_test=400", "data.num_validation=400", "data.noise_convention=wrong"
    clean, noisy = (dataset_of(leaves_of(*words, f"data.label_noise={level}")).splits for level in (0.0, 0.25))
    assert not np.isin(clean["validation"].inputs[:, 0], clean["test"].inputs[:, 0]).any()
    assert {name: int((noisy[name].targets != clean[name].targets).sum()) for name in noisy} == {
        "train": round(0.25 * 30),
        "test": 0,
        "validation": 100,
    }


def test_a_block_is_what_the_package_generates_number_for_number(small_blocks):
    args, state = get_dataset_args(), np.random.get_state()
    args.num_samples, args.train_split, args.seed = 400, 1.0, seed_of("mnist1d-v1-train-seed0-block0.npz")
    try:
        expected = make_dataset(args)  # it seeds NumPy's global state
    finally:
        np.random.set_state(state)
    block = dataset_of(leaves_of("data.num_train=400", "data.num_test=20", "data.label_noise=0")).train
    np.testing.assert_array_equal(block.inputs, expected["x"].astype(np.float32))
    np.testing.assert_array_equal(block.targets, expected["y"])


@pytest.mark.parametrize("damage", [b"", b"no archive", None])
def test_a_damaged_cache_file_is_made_anew(small_blocks, damage):
    leaves = leaves_of("data.num_train=10", "data.num_test=10")
    first = dataset_of(leaves)
    for path in small_blocks.glob("*train*.npz"):
        if damage is None:
            with np.load(path) as stored:
                np.savez(path, inputs=stored["inputs"] + 1, targets=stored["targets"], checksum=stored["checksum"])
        else:
            path.write_bytes(damage)
    assert dataset_of(leaves).checksum == first.checksum


def test_two_processes_may_generate_the_same_data_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("DDLAB_CACHE", str(tmp_path))
    fields = "label_noise=0.0, noise_convention='any', noise_seed=0, num_train=50, num_test=50, seed=77"
    code = f"from ddlab.data import MNIST1D; print(MNIST1D({fields}).load().checksum)"
    processes = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(2)]
    checksums = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert len(set(checksums)) == 1


def full_disk(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_block_that_does_not_fit_into_the_cache_leaves_no_file_behind(small_blocks, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full_disk)
        made = dataset_of(leaves_of(*SMALL_MNIST))
    assert list(small_blocks.iterdir()) == []
    assert dataset_of(leaves_of(*SMALL_MNIST)).checksum == made.checksum
    assert len(list(small_blocks.iterdir())) == 2  # of the training and the test examples
