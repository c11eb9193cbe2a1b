"""The 1797 8x8 hand-written digits that scikit-learn ships."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ddlab.config import Mark, leaf, seed_leaf
from ddlab.data.base import Dataset, Field, Spec, Split
from ddlab.data.noise import NoisyLabels
from ddlab.streams import generator

NUM_EXAMPLES = 1797
NUM_CLASSES = 10


@dataclass(frozen=True)
class Digits(NoisyLabels):
    """Digits as images of 8 x 8 pixels in 0..1, split at random; the rest of the 1797 examples is the test set."""

    num_train: int = leaf("training examples N; the rest is the test set", Mark.SIZE, low=1, high=NUM_EXAMPLES - 1)
    seed: int = seed_leaf("seed of the split")

    NESTED_BY = "num_train"

    def describe(self) -> Spec:
        sizes = {"train": self.num_train, "test": NUM_EXAMPLES - self.num_train}
        return Spec(Field((8, 8)), Field(size=NUM_CLASSES), sizes)

    def load(self) -> Dataset:
        from sklearn.datasets import load_digits

        inputs, targets = load_digits(return_X_y=True)
        order = generator(self.seed, "split").permutation(NUM_EXAMPLES)
        inputs, targets = (inputs[order].reshape(-1, 8, 8) / 16).astype(np.float32), targets[order].astype(np.int32)
        train, test = slice(None, self.num_train), slice(self.num_train, None)
        noisy = self.noisy(targets[train], NUM_CLASSES)
        return Dataset({"train": Split(inputs[train], noisy), "test": Split(inputs[test], targets[test])}, NUM_CLASSES)
