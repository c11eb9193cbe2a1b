"""Data sets against brute force; label noise; the cache."""

from __future__ import annotations

import math
import multiprocessing

import numpy as np
import pytest

from ddlab.config.trial import build
from ddlab.data.noise import corrupt
from ddlab.errors import ConfigError
from tests.support import dataset_of, leaves_of

pytestmark = pytest.mark.numeric


@pytest.mark.parametrize("p", [2, 6, 7, 12])
@pytest.mark.parametrize("operation", ["add", "subtract", "multiply", "divide"])
def test_modular_arithmetic_against_brute_force(operation, p):
    data = dataset_of(leaves_of("data=modular", f"data.modulus={p}", f"data.operation={operation}"))
    inputs = np.concatenate([data.train_inputs, data.test_inputs])
    targets = np.concatenate([data.train_targets, data.test_targets])
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
    assert len(one.train_targets) == round(0.3 * 121) == build(leaves_of(*overrides), "data").describe().num_train
    np.testing.assert_array_equal(one.train_inputs, same.train_inputs)
    assert not np.array_equal(one.train_inputs, other.train_inputs)


def test_label_noise_is_nested_and_of_the_wanted_level():
    labels = np.random.default_rng(0).integers(10, size=5000)
    for convention, share in (("any", 0.9), ("wrong", 1.0)):
        low, high = (corrupt(labels, level, 10, convention, seed=3) for level in (0.1, 0.3))
        changed = low != labels
        np.testing.assert_array_equal(high[changed], low[changed])
        assert changed.mean() == pytest.approx(0.1 * share, abs=3 * math.sqrt(0.1 * 0.9 / 5000))
        assert (high != labels).mean() == pytest.approx(0.3 * share, abs=3 * math.sqrt(0.3 * 0.7 / 5000))
    np.testing.assert_array_equal(corrupt(labels, 0.0, 10, "any", 3), labels)
    assert (corrupt(labels, 1.0, 10, "wrong", 3) != labels).all()


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


def test_digits_are_all_there():
    data = dataset_of(leaves_of("data=digits", "data.num_train=1000"))
    assert (len(data.train_targets), len(data.test_targets)) == (1000, 797)
    assert data.train_inputs.shape == (1000, 64)
    assert (data.train_inputs.min(), data.train_inputs.max()) == (0, 1)


def test_npz_arrays_of_a_user(tmp_path):
    random = np.random.default_rng(0)
    arrays = {"inputs": random.normal(size=(30, 2, 3)), "targets": random.integers(4, size=30)}
    np.savez(tmp_path / "mine.npz", **arrays)
    path = f"data.path={tmp_path / 'mine.npz'}"
    data = dataset_of(leaves_of("data=npz", path, "data.num_train=20"))
    assert data.train_inputs.shape == (20, 2, 3)
    together = np.concatenate([data.train_inputs, data.test_inputs])
    np.testing.assert_allclose(np.sort(together.ravel()), np.sort(arrays["inputs"].ravel()), rtol=1e-6)
    np.savez(tmp_path / "mine.npz", **arrays, test_inputs=arrays["inputs"][:5], test_targets=arrays["targets"][:5])
    assert len(dataset_of(leaves_of("data=npz", path, "data.num_train=30")).test_targets) == 5


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"inputs": np.zeros((3, 2))}, "needs arrays"),
        ({"inputs": np.zeros((3, 2)), "targets": np.zeros(3)}, "integer"),
        ({"inputs": np.zeros((3, 2)), "targets": np.zeros(4, int)}, "length"),
        ({"inputs": np.zeros((3, 2)), "targets": np.zeros(3, int)}, "has 3 examples"),
    ],
)
def test_npz_mistakes_are_named(tmp_path, arrays, message):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(ConfigError, match=message):
        dataset_of(leaves_of("data=npz", f"data.path={tmp_path / 'bad.npz'}", "data.num_train=3"))


def test_npz_identity_is_its_content(tmp_path):
    np.savez(tmp_path / "a.npz", inputs=np.zeros((3, 2)), targets=np.arange(3))
    source = build(leaves_of("data=npz", f"data.path={tmp_path / 'a.npz'}"), "data")
    checksum = source.resolve()["checksum"]
    (tmp_path / "b.npz").write_bytes((tmp_path / "a.npz").read_bytes())
    assert build(leaves_of("data=npz", f"data.path={tmp_path / 'b.npz'}"), "data").resolve()["checksum"] == checksum
    with pytest.raises(ConfigError, match="nothere"):
        build(leaves_of("data=npz", "data.path=nothere.npz"), "data").resolve()
