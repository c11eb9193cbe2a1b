"""Small files in the formats of MNIST and CIFAR."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np

OPTIONS = ("mnist", "fashion_mnist", "cifar10", "cifar100")
NUM_TRAIN, NUM_TEST = 40, 20
CIFAR_BATCHES = (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin")


def drawn(option: str, num: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return random images [num, H, W, C] and labels [num] of a data set, uint8."""
    random = np.random.default_rng(seed)
    shape, classes = ((32, 32, 3), int(option[5:])) if option.startswith("cifar") else ((28, 28, 1), 10)
    return random.integers(256, size=(num, *shape), dtype=np.uint8), random.integers(classes, size=num, dtype=np.uint8)


def idx(array: np.ndarray) -> bytes:
    """Return an array of bytes as an IDX file."""
    header = struct.pack(">BBBB", 0, 0, 8, array.ndim) + b"".join(struct.pack(">I", length) for length in array.shape)
    return header + bytes(array.ravel().tolist())


def cifar(images: np.ndarray, labels: np.ndarray, coarse: bytes = b"") -> bytes:
    """Return examples as a binary file of CIFAR; coarse: the label before the label of each."""
    planes = [[bytes(image[:, :, channel].ravel().tolist()) for channel in range(3)] for image in images]
    return b"".join(coarse + bytes([label]) + b"".join(plane) for label, plane in zip(labels.tolist(), planes, strict=True))


def write(directory: Path, option: str, zipped: bool = False, sizes: tuple[int, int] = (NUM_TRAIN, NUM_TEST)) -> Path:
    """Write the files of an option, with so many training and test examples, into a directory; return it."""
    num_train, num_test = sizes
    train, test = drawn(option, num_train, 1), drawn(option, num_test, 2)
    if option == "cifar100":
        files = {"train.bin": cifar(*train, b"\x07"), "test.bin": cifar(*test, b"\x07")}
    elif option == "cifar10":
        pieces = [
            tuple(array[start : start + num_train // 5] for array in train) for start in range(0, num_train, num_train // 5)
        ]
        files = {name: cifar(*piece) for name, piece in zip(CIFAR_BATCHES, [*pieces, test], strict=True)}
    else:
        files = {}
        for name, (images, labels) in {"train": train, "t10k": test}.items():
            files |= {f"{name}-images-idx3-ubyte": idx(images[..., 0]), f"{name}-labels-idx1-ubyte": idx(labels)}
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (directory / f"{name}{'.gz' * zipped}").write_bytes(gzip.compress(content) if zipped else content)
    return directory
