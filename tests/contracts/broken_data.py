"""Data sets of a user's own: a sound one, and others that break one rule each. A docstring says how."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ddlab.config import Mark, leaf
from ddlab.data import Dataset, DataSource, Split


@dataclass(frozen=True)
class SoundData(DataSource):
    """It keeps every rule."""

    num_train: int = leaf("training examples", low=1)
    noise: float = leaf("size of the noise of the targets", Mark.HOST, low=0, targets=True)

    NESTED_BY = "num_train"

    def load(self):
        inputs, test_inputs = self.inputs(self.num_train), self.inputs(self.num_test)
        targets = np.sin(inputs) + self.noise
        return Dataset({"train": Split(inputs, targets), "test": Split(test_inputs, np.sin(test_inputs))}, noise_variance=0.0)

    num_test = 5

    def inputs(self, num):
        return np.arange(num, dtype=float)[:, None]


class SaysOtherwise(SoundData):
    """describe() is wrong."""

    def describe(self):
        return self.load().spec.of_size(self.num_train + 1)


class OtherEachTime(SoundData):
    """It counts how often it is loaded."""

    loads = [0]

    def inputs(self, num):
        self.loads[0] += 1
        return super().inputs(num) + self.loads[0]


class OtherInEachProcess(SoundData):
    """It draws from Python's hash, which is salted."""

    def inputs(self, num):
        return super().inputs(num) + hash("inputs") % 10**6


@dataclass(frozen=True)
class ShapedByNoise(SoundData):
    """A field of mark HOST decides how many test examples there are."""

    noise: float = leaf("also the number of test examples", Mark.HOST, low=0)

    @property
    def num_test(self):
        return 3 + int(10 * self.noise)


class NoiseInInputs(SoundData):
    """A field of the targets changes the inputs."""

    def inputs(self, num):
        return super().inputs(num) * (1 + self.noise)


class NotNested(SoundData):
    """Smaller training sets are the last examples of larger ones."""

    def inputs(self, num):
        return super().inputs(num)[::-1]
