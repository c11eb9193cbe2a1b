"""MNIST, Fashion-MNIST and CIFAR from small files: what is made of their bytes, and a line for what is wrong."""

from __future__ import annotations

import gzip
import os
from dataclasses import replace

import numpy as np
import pytest

from ddlab.config.trial import build
from ddlab.data import describe, images, load
from ddlab.errors import ConfigError
from tests.images import CIFAR_BATCHES, NUM_TEST, NUM_TRAIN, OPTIONS, drawn, idx, write
from tests.support import leaves_of

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
ALL = ("data.num_train=40", "data.num_test=20")


def source(option, path, *words):
    return build(leaves_of(f"data={option}", *ALL, f"data.path={path}", *words), "data")


def expected(option):
    """Return what the training and the test images are in float64, in the order of the files, and their labels."""
    (train, labels), (test, test_labels) = drawn(option, NUM_TRAIN, 1), drawn(option, NUM_TEST, 2)
    mean, deviation = train.astype(float).mean(axis=(0, 1, 2)), train.astype(float).std(axis=(0, 1, 2))
    return (train - mean) / deviation, labels, (test - mean) / deviation, test_labels


def places(found, among):
    """Return which image each of the found ones is."""
    distances = np.abs(found[:, None, ..., 0] - among[None, ..., 0]).max(axis=(2, 3))
    assert (np.sort(distances, axis=1)[:, :2] < 1e-5).tolist() == [[True, False]] * len(found)
    return distances.argmin(axis=1)


@pytest.mark.parametrize(("option", "zipped"), [*((option, False) for option in OPTIONS), ("mnist", True)])
def test_the_bytes_of_the_files_are_standardised(tmp_path, option, zipped):
    data = load(source(option, write(tmp_path, option, zipped)))
    train, labels, test, test_labels = expected(option)
    for split, inputs, targets in ((data.train, train, labels), (data.test, test, test_labels)):
        order = places(split.inputs, inputs)
        assert sorted(order) == list(range(len(inputs)))
        assert list(order) != sorted(order)
        assert split.inputs.dtype == np.float32
        np.testing.assert_allclose(split.inputs, inputs[order], rtol=0, atol=1e-6)  # of numbers up to 2
        np.testing.assert_array_equal(split.targets, targets[order])


@pytest.mark.parametrize(("option", "size"), [("mnist", 14), ("mnist", 4), ("cifar10", 8), ("cifar10", 1)])
def test_smaller_images_are_means_of_blocks(tmp_path, option, size):
    path = write(tmp_path, option)
    whole, small = load(source(option, path)), load(source(option, path, f"data.size={size}"))
    block = whole.train.inputs.shape[1] // size
    for split in ("train", "test"):
        inputs = whole.splits[split].inputs.astype(float)
        means = [
            [inputs[:, block * row :, block * column :][:, :block, :block].mean(axis=(1, 2)) for column in range(size)]
            for row in range(size)
        ]
        np.testing.assert_allclose(small.splits[split].inputs, np.moveaxis(np.array(means), 2, 0), rtol=0, atol=1e-6)
        np.testing.assert_array_equal(small.splits[split].targets, whole.splits[split].targets)


def test_a_part_is_the_first_of_an_order_that_the_seed_draws(tmp_path):
    path = write(tmp_path, "mnist")
    whole, part = load(source("mnist", path)), load(source("mnist", path, "data.num_train=15", "data.num_test=6"))
    for split, num in (("train", 15), ("test", 6)):
        for field in range(2):
            np.testing.assert_array_equal(part.splits[split][field], whole.splits[split][field][:num])
    other = load(source("mnist", path, "data.seed=5"))
    assert not np.array_equal(other.train.inputs, whole.train.inputs)
    assert not np.array_equal(other.test.inputs, whole.test.inputs)


@pytest.mark.parametrize("option", OPTIONS)
def test_sizes_are_known_without_files(option, tmp_path):
    sizes = ("data.num_train=60000", "data.size=4")
    spec = describe(source(option, tmp_path / "none", *sizes))
    is_grey = "mnist" in option
    assert spec.inputs.shape == (4, 4, 1 if is_grey else 3)
    assert spec.targets.size == (10 if is_grey else int(option[5:]))
    assert spec.sizes == {"train": 60000, "test": 20}


@pytest.mark.parametrize("convention", ["any", "wrong"])
def test_training_labels_alone_are_noisy(tmp_path, convention):
    path = write(tmp_path, "mnist")
    clean = load(source("mnist", path))
    noisy = load(source("mnist", path, "data.label_noise=1.0", f"data.noise_convention={convention}"))
    np.testing.assert_array_equal(noisy.train.inputs, clean.train.inputs)
    np.testing.assert_array_equal(noisy.test.targets, clean.test.targets)
    assert np.mean(noisy.train.targets == clean.train.targets) < 0.5
    assert np.any(noisy.train.targets == clean.train.targets) == (convention == "any")


def test_validation_examples_are_the_last_training_examples_with_noise(tmp_path):
    path, held_out = write(tmp_path, "mnist"), ("data.num_train=25", "data.num_validation=15")
    whole, part = load(source("mnist", path)), load(source("mnist", path, *held_out))
    clean, noisy = part.splits["validation"], load(source("mnist", path, *held_out, "data.label_noise=0.6")).splits["validation"]
    np.testing.assert_array_equal(clean.inputs, whole.train.inputs[25:])
    np.testing.assert_array_equal(clean.targets, whole.train.targets[25:])
    np.testing.assert_array_equal(noisy.inputs, clean.inputs)
    assert 4 <= np.sum(noisy.targets != clean.targets) <= 9
    np.testing.assert_array_equal(part.train.inputs, whole.train.inputs[:25])


def test_other_labels_beside_a_data_set_are_those_that_it_has_alone(tmp_path):
    path = write(tmp_path, "cifar10")
    words = ("data.num_train=25", "data.num_validation=15")
    first, other = (source("cifar10", path, *words, f"data.label_noise={level}") for level in (0.2, 0.8))
    dataset = load(first)
    beside, alone = load(other, dataset), load(other)
    assert beside.train.inputs is dataset.train.inputs
    for name, array in alone.arrays.items():
        np.testing.assert_array_equal(beside.arrays[name], array, err_msg=name)


def test_identity_is_what_the_files_hold(tmp_path):
    plain, zipped = write(tmp_path / "plain", "mnist"), write(tmp_path / "zipped", "mnist", zipped=True)
    found = [source("mnist", path).resolve() for path in (plain, zipped)]
    assert found[0]["checksum"] == found[1]["checksum"]
    assert [each["path"] for each in found] == [str(plain), str(zipped)]
    content = bytearray((plain / TRAIN_LABELS).read_bytes())
    content[-1] = (content[-1] + 1) % 10
    (plain / TRAIN_LABELS).write_bytes(content)
    other = source("mnist", plain).resolve()["checksum"]
    assert other != found[0]["checksum"]
    with pytest.raises(ConfigError, match=f"^data.checksum=0123: the files in {plain} have {other}$"):
        load(source("mnist", plain, "data.checksum=0123"))


@pytest.mark.parametrize("option", OPTIONS)
def test_files_are_looked_for_in_the_cache_directory(option, tmp_path, monkeypatch):
    monkeypatch.setenv("DDLAB_CACHE", str(tmp_path))
    monkeypatch.setattr(images, "FASHION_MNIST_FORMAT", replace(images.FASHION_MNIST_FORMAT, directory=str(tmp_path / "debian")))
    with pytest.raises(ConfigError, match=f"^data.path=null: no .* in .*{tmp_path / option}; .*put .* there, or name their"):
        source(option, "null").resolve()
    write(tmp_path / option, option)
    assert source(option, "null").resolve()["path"] == str(tmp_path / option)


def test_fashion_mnist_is_looked_for_where_its_package_puts_it(tmp_path, monkeypatch):
    monkeypatch.setenv("DDLAB_CACHE", str(tmp_path))
    monkeypatch.setattr(images, "FASHION_MNIST_FORMAT", replace(images.FASHION_MNIST_FORMAT, directory=str(tmp_path / "debian")))
    with pytest.raises(ConfigError, match="apt install dataset-fashion-mnist"):
        source("fashion_mnist", "null").resolve()
    for place in (tmp_path / "debian", tmp_path / "fashion_mnist"):
        write(place, "fashion_mnist", zipped=True)
    assert source("fashion_mnist", "null").resolve()["path"] == str(tmp_path / "debian")


def test_files_are_read_once_until_they_change(tmp_path, monkeypatch):
    path, reads = write(tmp_path, "cifar10"), []
    monkeypatch.setattr(np, "fromfile", lambda *args, original=np.fromfile: reads.append(args) or original(*args))
    for _ in range(3):
        load(source("cifar10", path))
    assert len(reads) == len(CIFAR_BATCHES)
    os.utime(path / CIFAR_BATCHES[2], (0, 0))
    load(source("cifar10", path))
    assert len(reads) == 2 * len(CIFAR_BATCHES)


def test_what_is_gzipped_is_told_from_the_content(tmp_path):
    path = write(tmp_path, "mnist", zipped=True)
    for name in (TRAIN_IMAGES, TRAIN_LABELS):
        (path / f"{name}.gz").rename(path / name)
    assert load(source("mnist", path)).train.num == NUM_TRAIN


WHOLE = idx(drawn("mnist", NUM_TRAIN, 1)[0][..., 0])
SHAPE = WHOLE[4:16]
HUGE = bytes.fromhex("00000803 00010000 00001000 00001000")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it begins with nothing, not 00 00 08 03"),
        (WHOLE[:3], "it begins with 00 00 08, not 00 00 08 03"),
        (b"\0\0\x0d\3" + WHOLE[4:], "it begins with 00 00 0d 03, not 00 00 08 03"),
        (idx(np.zeros(40, np.uint8)), "it begins with 00 00 08 01, not 00 00 08 03"),
        (WHOLE[:15], "it ends in its header"),
        (WHOLE[:-1], "its header says 31360 bytes, and there are 31359 at most"),
        (WHOLE + b"\0", "its header says 31360 bytes, and there are more"),
        (HUGE + WHOLE[16:], "its header says 1099511627776 bytes, and there are 31360 at most"),
        (gzip.compress(WHOLE[:-1]), "its header says 31360 bytes, and there are 31359"),
        (gzip.compress(WHOLE + bytes(10**6)), "its header says 31360 bytes, and there are more"),
        (gzip.compress(HUGE + bytes(10**6)), r"its header says 1099511627776 bytes, and there are \d+ at most"),
        (gzip.compress(WHOLE)[:-9], "Compressed file ended before the end-of-stream marker was reached"),
        (gzip.compress(WHOLE)[:-8] + b"\1" * 8, "CRC check failed"),
        (gzip.compress(WHOLE[:16] + bytes(31360))[:30] + b"\xff" * 200, "Error -3 while decompressing data"),
        (b"\x1f\x8b\1" + WHOLE, "Unknown compression method"),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path, content, message):
    path = write(tmp_path, "mnist")
    (path / TRAIN_IMAGES).write_bytes(content)
    with pytest.raises(ConfigError, match=rf"^data.path={path / TRAIN_IMAGES}: not a readable IDX file \({message}.*\)$"):
        load(source("mnist", path))


def test_arrays_beyond_the_bound_are_refused_by_their_header(tmp_path, monkeypatch):
    monkeypatch.setattr("ddlab.data.stored.MOST_BYTES", len(WHOLE) - 17)
    path = write(tmp_path, "mnist")
    with pytest.raises(ConfigError, match=f"^data.path={path / TRAIN_IMAGES}: takes .* must be at most"):
        load(source("mnist", path))


@pytest.mark.parametrize("option", ["cifar10", "cifar100"])
def test_a_file_of_cifar_has_whole_examples(option, tmp_path):
    path = write(tmp_path, option)
    name, length = ("test_batch.bin", 3073) if option == "cifar10" else ("test.bin", 3074)
    whole = (path / name).read_bytes()
    for content in (b"", whole[:-1], whole + b"\0"):
        (path / name).write_bytes(content)
        with pytest.raises(
            ConfigError, match=f"^data.path={path / name}: has {len(content)} bytes, must have a multiple of {length}"
        ):
            load(source(option, path))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            TRAIN_IMAGES,
            idx(np.zeros((40, 28, 27), np.uint8)),
            "has 40 labels and images .40, 28, 27, 1. to train; must be",
        ),
        (TRAIN_IMAGES, idx(np.zeros((0, 28, 28), np.uint8)), "has 40 labels and images .0, 28, 28, 1. to train; must be"),
        (TRAIN_LABELS, idx(np.zeros(39, np.uint8)), "has 39 labels and images .40, 28, 28, 1. to train; must be"),
        (TRAIN_LABELS, idx(np.full(40, 10, np.uint8)), "has label 10; must be at most 9"),
        (TRAIN_IMAGES, idx(np.full((40, 28, 28), 7, np.uint8)), "has training images of one colour"),
    ],
)
def test_files_that_do_not_belong_together_are_refused(tmp_path, name, content, message):
    path = write(tmp_path, "mnist")
    (path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=f"^data.path={path}: {message}"):
        load(source("mnist", path))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data.num_train=41"], "data.num_train=41: must be at most 40, the training examples in"),
        (
            ["data.num_train=35", "data.num_validation=6"],
            "data.num_train=35 with data.num_validation=6: must be at most 40, the training examples in",
        ),
        (["data.num_test=21"], "data.num_test=21: must be at most 20, the test examples in"),
    ],
)
def test_more_examples_than_there_are_are_refused_before_training(tmp_path, words, message):
    with pytest.raises(ConfigError, match=f"^{message}"):
        source("mnist", write(tmp_path, "mnist"), *words).resolve()


@pytest.mark.parametrize("size", [9, 29, 56])
def test_a_size_must_divide_that_of_the_files(size, tmp_path):
    with pytest.raises(ConfigError, match=f"^data.size={size}: must divide 28, the pixels of a side$"):
        source("mnist", tmp_path, f"data.size={size}").check()


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "'~nobody_at_all/x'", "'a\\0b'"])
def test_a_path_that_is_no_directory_is_one_line(path):
    with pytest.raises(ConfigError, match=r"^data\.path="):
        source("cifar100", path).resolve()


def test_only_regular_files_are_opened(tmp_path):
    path = write(tmp_path, "cifar100")
    (path / "test.bin").unlink()
    os.mkfifo(path / "test.bin")
    with pytest.raises(ConfigError, match=f"^data.path={path}: no test.bin in {path}; put train.bin, test.bin there"):
        source("cifar100", path).resolve()
