"""Regression of a function on an interval, the setting of polynomial fits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ddlab.config import leaf
from ddlab.data.regression import Regression, Target

FUNCTIONS: dict[str, Target] = {
    "cosine": lambda x: 2 * x + np.cos(25 * x),
    "runge": lambda x: 1 / (1 + 25 * x**2),
    "step": lambda x: np.where(x < 0, -1.0, 1.0),
}


@dataclass(frozen=True)
class Interval(Regression):
    """y = f(x) + e with x uniform in [-1, 1].

    cosine: 2 x + cos(25 x) (after Schaeffer et al. 2023); runge: 1 / (1 + 25 x^2); step: the sign of x.
    """

    function: str = leaf("target function", choices=tuple(FUNCTIONS))

    @property
    def num_inputs(self) -> int:
        return 1

    def inputs(self, num: int, random: np.random.Generator) -> np.ndarray:
        return random.uniform(-1, 1, (num, 1))

    def target(self, random: np.random.Generator) -> Target:
        del random
        return lambda inputs: FUNCTIONS[self.function](inputs[:, 0])
