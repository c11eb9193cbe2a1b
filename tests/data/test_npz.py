"""A stranger's .npz file: what may stand in it, and one clear line for what may not."""

from __future__ import annotations

import io
import os
import zipfile

import numpy as np
import pytest

from ddlab.config.trial import build
from ddlab.data import load
from ddlab.errors import ConfigError
from tests.support import dataset_of, leaves_of

TARGETS = np.arange(30) % 3
INPUTS = np.random.default_rng(0).normal(size=(30, 4))


def source(path):
    return build(leaves_of("data=npz", f"data.path={path}", "data.num_train=20"), "data")


def stored(directory, **arrays):
    """Write a file of good arrays, some of them replaced; return its path."""
    np.savez(directory / "own.npz", **{"inputs": INPUTS, "targets": TARGETS, **arrays})
    return directory / "own.npz"


def claimed(directory, shape, dtype="<f8"):
    """Write a small file whose header claims an array of any shape."""
    header, targets = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": dtype, "fortran_order": False, "shape": shape})
    np.save(targets, TARGETS)
    with zipfile.ZipFile(directory / "own.npz", "w") as archive:
        archive.writestr("inputs.npy", header.getvalue())
        archive.writestr("targets.npy", targets.getvalue())
    return directory / "own.npz"


@pytest.mark.parametrize("dtype", ["f2", "f4", ">f4", "f8", "g", "i1", "u1", "i8", "u8"])
def test_inputs_may_be_any_real_numbers(tmp_path, dtype):
    inputs = np.abs(10 * INPUTS).astype(dtype)
    data = load(source(stored(tmp_path, inputs=inputs)))
    assert data.train.inputs.dtype == np.float32
    together = np.concatenate([data.train.inputs, data.test.inputs])
    np.testing.assert_array_equal(np.sort(together, 0), np.sort(inputs.astype(np.float32), 0))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (np.array(["a"] * 30), "must be real numbers, floating or integer; found <U1"),
        (np.array([b"a"] * 30), "must be real numbers"),
        (np.zeros(30, [("a", float)]), "must be real numbers"),
        (np.zeros(30, "V8"), "must be real numbers"),
        (INPUTS + 1j, "must be real numbers, floating or integer; found complex128"),
        (np.zeros((30, 2), "datetime64[s]"), "must be real numbers"),
        (INPUTS > 0, "must be real numbers, floating or integer; found bool"),
        (np.zeros((30, 0)), "must have numbers"),
        (np.float64(3), "differ in length"),
        (INPUTS[:29], "differ in length"),
        (1e300 * INPUTS, "must be finite, also as float32"),
        (np.nan * INPUTS, "must be finite"),
    ],
)
def test_inputs_of_another_kind_are_refused(tmp_path, inputs, message):
    with pytest.raises(ConfigError, match=f"data.path=.*own.npz: inputs .*{message}"):
        load(source(stored(tmp_path, inputs=inputs)))


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (TARGETS * 1.0, "1-d integer"),
        (TARGETS > 1, "1-d integer"),
        (TARGETS[:, None], "1-d integer"),
        (TARGETS[:0], "1-d integer"),
        (np.int64(3), "1-d integer"),
        (TARGETS - 1, "negative label"),
        (TARGETS.astype("u8") + 2**63, "label above 9999"),
    ],
)
def test_targets_of_another_kind_are_refused(tmp_path, targets, message):
    with pytest.raises(ConfigError, match=f"targets .*{message}"):
        load(source(stored(tmp_path, targets=targets)))


def test_an_object_array_is_refused_and_never_unpickled(tmp_path):
    with pytest.raises(ConfigError, match="must be real numbers, floating or integer; found object"):
        load(source(stored(tmp_path, inputs=np.array([None] * 30))))


@pytest.mark.parametrize("shape", [(30, 10**12), (30, 2**26)])
def test_arrays_beyond_the_bound_are_refused_by_their_headers(tmp_path, shape):
    with pytest.raises(ConfigError, match="GiB, must be at most 2 GiB"):
        load(source(claimed(tmp_path, shape)))


@pytest.mark.parametrize("shape", [(30, -4), (30, 1000)])
def test_a_header_that_lies_is_refused(tmp_path, shape):
    with pytest.raises(ConfigError, match=r"not a readable \.npz file"):
        load(source(claimed(tmp_path, shape)))


def test_only_a_regular_file_is_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero", tmp_path):
        with pytest.raises(ConfigError, match=f"data.path={path}: must be a regular file"):
            source(path).resolve()


def test_every_flipped_byte_of_the_arrays_is_noticed(tmp_path):
    path = stored(tmp_path)
    whole, arrays = path.read_bytes(), load(source(path)).arrays
    for place in range(0, len(whole), 29):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :])
        try:
            found = load(source(path)).arrays
        except ConfigError:
            continue
        assert all(np.array_equal(found[name], array) for name, array in arrays.items())


def test_a_file_is_read_once_until_it_changes(tmp_path, monkeypatch):
    path, reads = stored(tmp_path), []
    monkeypatch.setattr(np, "load", lambda *args, original=np.load, **options: reads.append(args) or original(*args, **options))
    for _ in range(3):
        before = source(path).resolve()
        source(path).describe()
        load(source(path))
    assert len(reads) == 1
    stored(tmp_path, inputs=INPUTS + 1)
    assert source(path).resolve()["checksum"] != before["checksum"]
    assert len(reads) == 2


def test_a_file_that_is_not_the_one_of_the_checksum_is_refused(tmp_path):
    path = stored(tmp_path)
    leaves = leaves_of("data=npz", f"data.path={path}", "data.num_train=20", "data.checksum=0123")
    with pytest.raises(ConfigError, match=f"data.checksum=0123: {path} has {source(path).resolve()['checksum']}"):
        load(build(leaves, "data"))


def test_the_bound_holds_for_the_file_itself(tmp_path, monkeypatch):
    path = stored(tmp_path)
    monkeypatch.setattr("ddlab.data.stored.MOST_BYTES", path.stat().st_size - 1)
    with pytest.raises(ConfigError, match="must be at most"):
        source(path).resolve()


def test_npz_arrays_of_a_user(tmp_path):
    random = np.random.default_rng(0)
    arrays = {"inputs": random.normal(size=(30, 2, 3)), "targets": random.integers(4, size=30)}
    np.savez(tmp_path / "mine.npz", **arrays)
    path = f"data.path={tmp_path / 'mine.npz'}"
    data = dataset_of(leaves_of("data=npz", path, "data.num_train=20"))
    assert data.train.inputs.shape == (20, 2, 3)
    together = np.concatenate([data.train.inputs, data.test.inputs])
    np.testing.assert_allclose(np.sort(together.ravel()), np.sort(arrays["inputs"].ravel()), rtol=1e-6)
    np.savez(tmp_path / "mine.npz", **arrays, test_inputs=arrays["inputs"][:5], test_targets=arrays["targets"][:5])
    assert len(dataset_of(leaves_of("data=npz", path, "data.num_train=30")).test.targets) == 5


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
