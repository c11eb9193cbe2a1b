"""The 1797 8x8 hand-written digits that scikit-learn ships."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ddlab.config import Mark, leaf, seed_leaf
from ddlab.data.base import Dataset, Field, Spec, Split
from ddlab.data.noise import HeldOut
from ddlab.errors import ConfigError
from ddlab.streams import generator

NUM_EXAMPLES = 1797
NUM_CLASSES = 10


@dataclass(frozen=True)
class Digits(HeldOut):
    """Digits as images of 8 x 8 pixels in 0..1, split at random; the rest of the 1797 examples is the test set, but for its last
    ones, which are the validation set.
    """

    num_train: int = leaf("training examples N; the rest is the test set", Mark.SIZE, low=1, high=NUM_EXAMPLES - 1)
    seed: int = seed_leaf("seed of the split")

    NESTED_BY = "num_train"

    def check(self) -> None:
        if self._num_test < 1:
            raise ConfigError(
                f"data.num_validation={self.num_validation}: leaves no test example beside data.num_train={self.num_train},"
                f" of {NUM_EXAMPLES}"
            )

    def describe(self) -> Spec:
        return Spec(Field((8, 8)), Field(size=NUM_CLASSES), {"train": self.num_train, "test": self._num_test, **self.held_out})

    def load(self) -> Dataset:
        from sklearn.datasets import load_digits

        inputs, targets = load_digits(return_X_y=True)
        order = generator(self.seed, "split").permutation(NUM_EXAMPLES)
        inputs, targets = (inputs[order].reshape(-1, 8, 8) / 16).astype(np.float32), targets[order].astype(np.int32)
        ends = [self.num_train, self.num_train + self._num_test]
        train, test, held_out = (Split(*arrays) for arrays in zip(np.split(inputs, ends), np.split(targets, ends), strict=True))
        return self.dataset({"train": train, "test": test, **self.validation(*held_out, NUM_CLASSES)}, NUM_CLASSES)

    @property
    def _num_test(self) -> int:
        return NUM_EXAMPLES - self.num_train - self.num_validation
