"""Regression of a fixed teacher."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from ddlab.config import Mark, leaf
from ddlab.data.regression import Regression, Target

TEACHERS = ("mlp", "square")


@dataclass(frozen=True)
class Teacher(Regression):
    """y = f(x) + e with x ~ N(0, input_scale^2 I) and f a teacher, drawn once.

    mlp: `depth` hidden layers of tanh, weights and biases uniform in +-1 / sqrt(fan_in), which is how a student of
    model.initializer=torch begins, too. Liu et al. (2023, Omnigrok) take 5-100-100-5.

    square: f(x) = <beta, x>^2 / 2 with beta of a random direction and ||beta||^2 = D; one output. Kumar et al. (2024) draw beta
    from N(0, I), where ||beta||^2 is D on average, and x from N(0, I / D): with input_scale = 1 / sqrt(D) <beta, x> ~ N(0, 1).
    """

    teacher: str = leaf("what f is", choices=TEACHERS)
    num_features: int = leaf("numbers of an input D", low=1, high=10**5)
    input_scale: float = leaf("standard deviation of each number of an input", Mark.HOST, above=0)
    num_outputs: int = leaf("outputs of the mlp; square has one", low=1, high=10**4)
    hidden: int = leaf("units in each hidden layer of the mlp", Mark.HOST, low=1, high=10**5, targets=True)
    depth: int = leaf("hidden layers of the mlp", Mark.HOST, low=1, high=100, targets=True)

    @property
    def num_inputs(self) -> int:
        return self.num_features

    @property
    def num_targets(self) -> int:
        return 1 if self.teacher == "square" else self.num_outputs

    def inputs(self, num: int, random: np.random.Generator) -> np.ndarray:
        return self.input_scale * random.standard_normal((num, self.num_features))

    def target(self, random: np.random.Generator) -> Target:
        if self.teacher == "mlp":
            return _tanh_network([self.num_features, *[self.hidden] * self.depth, self.num_outputs], random)
        beta = random.standard_normal(self.num_features)
        beta *= self.num_features**0.5 / np.linalg.norm(beta)
        return lambda inputs: (inputs @ beta) ** 2 / 2


def _tanh_network(sizes: list[int], random: np.random.Generator) -> Target:
    """Draw a network of layers of some sizes, inputs and outputs among them."""
    shapes = [(fan_in + 1, fan_out) for fan_in, fan_out in itertools.pairwise(sizes)]
    layers = [random.uniform(-1, 1, shape) / (shape[0] - 1) ** 0.5 for shape in shapes]  # the last row: biases

    def outputs(inputs: np.ndarray) -> np.ndarray:
        z = inputs @ layers[0][:-1] + layers[0][-1]
        for layer in layers[1:]:
            z = np.tanh(z) @ layer[:-1] + layer[-1]
        return z

    return outputs
