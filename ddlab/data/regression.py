"""Regression on drawn inputs: what problems with real targets share."""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ddlab.config import Mark, leaf, seed_leaf
from ddlab.data.base import Dataset, DataSource, Field, Spec, Split
from ddlab.errors import ConfigError
from ddlab.streams import generator

Target = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Regression(DataSource):
    """y = f(x) + e on random inputs x, with noise e ~ N(0, noise_variance); test targets are without noise.

    The first n of a larger training set are the training set of size n. Noise levels share their draws: the noise is a
    standard normal number times its standard deviation.
    """

    num_train: int = leaf("training examples n", Mark.SIZE, low=1, high=10**7)
    num_test: int | None = leaf("test examples", low=1, high=10**7)
    noise_variance: float = leaf("variance of the noise of a target", Mark.HOST, low=0, targets=True)
    seed: int = seed_leaf("seed of the training inputs")
    noise_seed: int = seed_leaf("seed of the noise", targets=True)
    target_seed: int = seed_leaf("seed of the target function and of the test inputs")

    NESTED_BY = "num_train"

    @property
    @abc.abstractmethod
    def num_inputs(self) -> int:
        """Numbers of one input."""

    @property
    def num_targets(self) -> int:
        """Numbers of one target."""
        return 1

    @abc.abstractmethod
    def inputs(self, num: int, random: np.random.Generator) -> np.ndarray:
        """Draw inputs [num, num_inputs], float64."""

    @abc.abstractmethod
    def target(self, random: np.random.Generator) -> Target:
        """Draw the target function: inputs [num, num_inputs] -> [num], or [num, num_targets]."""

    def test_inputs(self, train_inputs: np.ndarray) -> np.ndarray:
        """Return test inputs [num_test, num_inputs]; the training inputs [n, num_inputs] are there for those who need them."""
        del train_inputs
        assert self.num_test is not None
        return self.inputs(self.num_test, generator(self.target_seed, "test"))

    def check(self) -> None:
        if self.num_test is None:
            raise ConfigError("data.num_test=null: must be a number of test examples")

    def describe(self) -> Spec:
        assert self.num_test is not None
        return self.spec_with(self.num_test)

    def spec_with(self, num_test: int) -> Spec:
        """Return the sizes with so many test examples."""
        sizes = {"train": self.num_train, "test": num_test}
        return Spec(Field((self.num_inputs,)), Field((self.num_targets,)), sizes, noise_variance=True)

    def load(self) -> Dataset:
        inputs = self.inputs(self.num_train, generator(self.seed, "inputs"))
        return self._with_targets(inputs, self.test_inputs(inputs))

    def load_beside(self, other: Dataset) -> Dataset:
        return self._with_targets(other.train.inputs, other.test.inputs)

    def _with_targets(self, inputs: np.ndarray, test_inputs: np.ndarray) -> Dataset:
        target = self.target(generator(self.target_seed, "target"))
        train_targets, test_targets = (target(x).reshape(len(x), self.num_targets) for x in (inputs, test_inputs))
        noise = self.noise_variance**0.5 * generator(self.noise_seed, "noise").standard_normal(train_targets.shape)
        return Dataset(
            {"train": Split(inputs, train_targets + noise), "test": Split(test_inputs, test_targets)},
            noise_variance=self.noise_variance,
            test_nodes=self.describe().test_nodes,
        )
