"""Modular arithmetic, and addition without a modulus."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ddlab.config import Mark, leaf
from ddlab.data.operation import BinaryOperation


def _divide(a: np.ndarray, b: np.ndarray, p: int) -> np.ndarray:
    inverse = np.array([pow(x, -1, p) if math.gcd(x, p) == 1 else 0 for x in range(p)])
    return a * inverse[b] % p


class _Operation(NamedTuple):
    """What is learnt of elements a and b, [M] each.

    Attributes:
        result: (a, b, p) -> [M].
        is_symmetric: it is the same of b and a.
        divides: b -> where it divides by b, [M].
    """

    result: Callable[[np.ndarray, np.ndarray, int], np.ndarray]
    is_symmetric: bool = False
    divides: Callable[[np.ndarray], np.ndarray] = np.zeros_like


OPERATIONS = {
    "add": _Operation(lambda a, b, p: (a + b) % p, is_symmetric=True),
    "subtract": _Operation(lambda a, b, p: (a - b) % p),
    "multiply": _Operation(lambda a, b, p: a * b % p, is_symmetric=True),
    "divide": _Operation(_divide, divides=np.ones_like),
    "parity_split": _Operation(lambda a, b, p: np.where(b % 2 == 1, _divide(a, b, p), (a - b) % p), divides=lambda b: b % 2 == 1),
    "a2+b2": _Operation(lambda a, b, p: (a**2 + b**2) % p, is_symmetric=True),
    "a2+ab+b2": _Operation(lambda a, b, p: (a**2 + a * b + b**2) % p, is_symmetric=True),
    "a2+ab+b2+a": _Operation(lambda a, b, p: (a**2 + a * b + b**2 + a) % p),
    "a3+ab": _Operation(lambda a, b, p: (a**3 + a * b) % p),
    "a3+ab2+b": _Operation(lambda a, b, p: (a**3 + a * b**2 + b) % p),
    "add_integers": _Operation(lambda a, b, _p: a + b, is_symmetric=True),
}


@dataclass(frozen=True)
class ModularArithmetic(BinaryOperation):
    """All pairs (a, b) of 0 .. p-1 with target a o b mod p (Power et al. 2022, appendix A.1.1), split at random.

    Symmetric are add, multiply, a2+b2, a2+ab+b2 and add_integers: a + b without a modulus, of 2p-1 classes (Liu et al. 2022).
    parity_split is a / b for odd b, and a - b for even b. What is divided by must have an inverse mod p: `divide` has the pairs
    whose b has one, p (p-1) of them for a prime p; `parity_split` those, and those of even b.
    """

    modulus: int = leaf("p, the size of the alphabet", low=2, high=10_000)
    operation: str = leaf("what is learnt: a o b mod p", Mark.HOST, choices=tuple(OPERATIONS))

    @property
    def num_elements(self) -> int:
        return self.modulus

    @property
    def num_results(self) -> int:
        return 2 * self.modulus - 1 if self.operation == "add_integers" else self.modulus

    @property
    def is_symmetric(self) -> bool:
        return OPERATIONS[self.operation].is_symmetric

    @property
    def second(self) -> np.ndarray:
        b = np.arange(self.modulus)
        return b[np.logical_not(OPERATIONS[self.operation].divides(b)) | (np.gcd(b, self.modulus) == 1)]

    def result(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return OPERATIONS[self.operation].result(a, b, self.modulus)
