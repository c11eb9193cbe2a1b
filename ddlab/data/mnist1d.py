"""MNIST-1D (Greydanus, Kobak 2024): ten hand-drawn templates, warped, shifted and made noisy; 40 numbers an example."""

from __future__ import annotations

import contextlib
import hashlib
import io
from dataclasses import dataclass

import numpy as np

from ddlab.config import Mark, leaf, seed_leaf
from ddlab.data.base import Dataset, Field, Spec, Split
from ddlab.data.noise import NoisyLabels
from ddlab.files import cache_directory, write_atomically
from ddlab.streams import seed_of

BLOCK = 4000
NUM_CLASSES = 10


@dataclass(frozen=True)
class MNIST1D(NoisyLabels):
    """MNIST-1D with label noise and any number of examples.

    Examples come in blocks of 4000 that the `mnist1d` package generates; the first n of a larger training set are the
    training set of size n, so that sweeps over `num_train` are nested.
    """

    num_train: int = leaf("training examples N", Mark.SIZE, low=1)
    num_test: int = leaf("test examples", low=1)
    seed: int = seed_leaf("seed of the examples drawn", below=2**31)

    NESTED_BY = "num_train"

    def describe(self) -> Spec:
        return Spec(Field((40,)), Field(size=NUM_CLASSES), {"train": self.num_train, "test": self.num_test})

    def load(self) -> Dataset:
        train_inputs, train_targets = _examples("train", self.num_train, self.seed)
        train = Split(train_inputs, self.noisy(train_targets, NUM_CLASSES))
        return Dataset({"train": train, "test": Split(*_examples("test", self.num_test, self.seed))}, NUM_CLASSES)


def _examples(split: str, num: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    blocks = [_block(split, seed, index) for index in range(-(-num // BLOCK))]
    inputs, targets = (np.concatenate(arrays) for arrays in zip(*blocks, strict=True))
    return inputs[:num], targets[:num]


def _block(split: str, seed: int, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Return one block of examples from the cache, or generate and cache it.

    Two processes may write a block at once; one that cannot be read or whose checksum differs is generated again.
    """
    name = f"mnist1d-v1-{split}-seed{seed}-block{index}.npz"
    path = cache_directory() / name
    try:
        with np.load(path) as stored:
            inputs, targets, checksum = stored["inputs"], stored["targets"], str(stored["checksum"])
        if checksum == _checksum(inputs, targets):
            return inputs, targets
    except Exception:
        pass
    inputs, targets = _generate(seed_of(name))
    file = io.BytesIO()
    np.savez(file, inputs=inputs, targets=targets, checksum=np.array(_checksum(inputs, targets)))
    with contextlib.suppress(OSError):  # without a cache directory it is generated each time
        write_atomically(path, file.getvalue())
    return inputs, targets


def _checksum(*arrays: np.ndarray) -> str:
    return hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()


def _generate(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Generate a block with the mnist1d package; it seeds NumPy's global state, which is put back."""
    from mnist1d.data import get_dataset_args, make_dataset

    args = get_dataset_args()
    args.num_samples, args.train_split, args.seed = BLOCK, 1.0, seed
    state = np.random.get_state()  # noqa: NPY002
    try:
        made = make_dataset(args)
    finally:
        np.random.set_state(state)  # noqa: NPY002
    return made["x"].astype(np.float32), made["y"].astype(np.int32)
