"""Sparse parity (Barak et al. 2022): the parity of a few of many bits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ddlab.config import Mark, leaf, seed_leaf
from ddlab.data.base import Dataset, Field, Spec, Split
from ddlab.data.noise import NoisyLabels
from ddlab.errors import ConfigError
from ddlab.streams import generator

NUM_CLASSES = 2


@dataclass(frozen=True)
class SparseParity(NoisyLabels):
    """x uniform in {-1, 1}^n; the class is 1 where the product of the first k bits is 1, else 0 (Barak et al. 2022).

    The other n - k bits say nothing: noise digits, concealment in Miller et al. (2023). Merrill et al. (2023) take n = 40, k = 3.
    Training and test examples are drawn apart, so that some may be the same where 2^n is small.
    """

    num_bits: int = leaf("bits n of an input", low=1, high=100_000)
    num_relevant: int = leaf("bits k whose parity is the class, the first ones", Mark.HOST, low=1, targets=True)
    num_train: int = leaf("training examples N", Mark.SIZE, low=1, high=10**7)
    num_test: int = leaf("test examples", low=1, high=10**7)
    seed: int = seed_leaf("seed of the examples drawn")

    NESTED_BY = "num_train"

    def check(self) -> None:
        if self.num_relevant > self.num_bits:
            raise ConfigError(f"data.num_relevant={self.num_relevant}: must be at most data.num_bits={self.num_bits}")

    def describe(self) -> Spec:
        sizes = {"train": self.num_train, "test": self.num_test}
        return Spec(Field((self.num_bits,)), Field(size=NUM_CLASSES), sizes)

    def load(self) -> Dataset:
        splits = {"train": self._examples("train", self.num_train), "test": self._examples("test", self.num_test)}
        return self.dataset(splits, NUM_CLASSES)

    def _examples(self, split: str, num: int) -> Split:
        """Return the first examples of a stream."""
        bits = generator(self.seed, split).integers(2, size=(num, self.num_bits), dtype=np.int8)
        targets = 1 - bits[:, : self.num_relevant].sum(axis=1, dtype=np.int32) % 2
        return Split(1 - 2 * bits.astype(np.float32), targets)
