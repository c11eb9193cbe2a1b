"""What a data set gives to the rest of ddlab, and the randomness it draws from."""

from __future__ import annotations

import abc
import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Spec:
    """Sizes of a data set, known without loading it.

    Attributes:
        num_train: N, the number of training examples.
        num_test: number of test examples.
        input_shape: shape of one input.
        num_outputs: K, the number of classes.
        alphabet: number of distinct tokens where inputs are integer tokens; None where they are real numbers.
    """

    num_train: int
    num_test: int
    input_shape: tuple[int, ...]
    num_outputs: int
    alphabet: int | None = None


@dataclass(frozen=True)
class Dataset:
    """Arrays of a data set.

    Attributes:
        train_inputs: [N, *input_shape], float32 or int32 tokens.
        train_targets: [N], int32 class labels, label noise included.
        test_inputs: [num_test, *input_shape].
        test_targets: [num_test], int32 class labels.
        num_outputs: K.
        alphabet: as in `Spec`.
    """

    train_inputs: np.ndarray
    train_targets: np.ndarray
    test_inputs: np.ndarray
    test_targets: np.ndarray
    num_outputs: int
    alphabet: int | None = None

    @property
    def spec(self) -> Spec:
        return Spec(len(self.train_targets), len(self.test_targets), self.train_inputs.shape[1:], self.num_outputs, self.alphabet)

    @property
    def checksum(self) -> str:
        """Sixteen hex digits of the sha256 over all arrays."""
        digest = hashlib.sha256()
        for array in (self.train_inputs, self.train_targets, self.test_inputs, self.test_targets):
            digest.update(repr((array.shape, array.dtype.str)).encode() + np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]


class DataSource(abc.ABC):
    """Base of data components. A user's own needs `load` only; `describe` where loading is slow.

    A subclass may also define `check()`, which raises `ConfigError` where its fields are at odds with each other.
    """

    @abc.abstractmethod
    def load(self) -> Dataset:
        """Return the arrays; equal configs give equal arrays, in any process."""

    def resolve(self) -> dict[str, Any]:
        """Return fields to fill in before a trial's identity is taken, such as the checksum of a file."""
        return {}

    def describe(self) -> Spec:
        """Return the sizes of what `load` gives."""
        return self.load().spec


def generator(seed: int, stream: str) -> np.random.Generator:
    """Return the random generator of a named stream of `data.seed`: streams are independent, and equal in every process."""
    name = int.from_bytes(hashlib.sha256(stream.encode()).digest()[:8], "big")
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, name])))
