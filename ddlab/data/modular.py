"""Modular arithmetic (Power et al. 2022): learn c = a o b mod p from a fraction of all pairs (a, b)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ddlab.config import Mark, leaf, seed_leaf
from ddlab.data.base import Dataset, DataSource, Field, Spec, Split
from ddlab.errors import ConfigError
from ddlab.streams import generator


def _divide(a: np.ndarray, b: np.ndarray, p: int) -> np.ndarray:
    inverse = np.array([pow(int(x), -1, p) if math.gcd(int(x), p) == 1 else 0 for x in range(p)])
    return a * inverse[b] % p


OPERATIONS: dict[str, Callable[[np.ndarray, np.ndarray, int], np.ndarray]] = {
    "add": lambda a, b, p: (a + b) % p,
    "subtract": lambda a, b, p: (a - b) % p,
    "multiply": lambda a, b, p: a * b % p,
    "divide": _divide,
}

# What an input may look like. Nanda et al. 2023: a b =; Power et al. 2022: a o b =.
OPERANDS = {"a", "b"}
SEQUENCES = ("a b", "a b =", "a o b =")


@dataclass(frozen=True)
class ModularArithmetic(DataSource):
    """All pairs (a, b) with target a o b mod p, split at random into training and test set.

    Division keeps the pairs whose b has an inverse mod p: p (p-1) of them for a prime p. Inputs are the tokens a, b; or those of
    an equation, with a token p for "=" and p+1 for "o", which are no answers.
    """

    modulus: int = leaf("p, the size of the alphabet", low=2, high=10_000)
    operation: str = leaf("what is learnt: a o b mod p", choices=tuple(OPERATIONS))
    train_fraction: float = leaf("fraction of all pairs that is trained on", Mark.SIZE, above=0, high=1)
    sequence: str = leaf("tokens of an input", choices=tuple(SEQUENCES), off="a b")
    seed: int = seed_leaf("seed of the split")

    NESTED_BY = "train_fraction"

    def check(self) -> None:
        spec = self.describe()
        if min(spec.sizes.values()) < 1:
            raise ConfigError(
                f"data.train_fraction={self.train_fraction}: leaves {spec.num_train} training and {spec.num_evaluated} test pairs"
                f" at data.modulus={self.modulus}; each must be at least 1"
            )

    def describe(self) -> Spec:
        num_pairs = self.modulus * len(self._second())
        num_train = round(self.train_fraction * num_pairs)
        sizes = {"train": num_train, "test": num_pairs - num_train}
        return Spec(Field((len(self._tokens),), self._num_tokens), Field(size=self.modulus), sizes)

    @property
    def _tokens(self) -> list[str]:
        return self.sequence.split()

    @property
    def _num_tokens(self) -> int:
        return self.modulus + len(set(self._tokens) - OPERANDS)

    def load(self) -> Dataset:
        a, b = (grid.ravel() for grid in np.meshgrid(np.arange(self.modulus), self._second(), indexing="ij"))
        tokens = {"a": a, "b": b, "=": np.full_like(a, self.modulus), "o": np.full_like(a, self.modulus + 1)}
        inputs = np.stack([tokens[name] for name in self._tokens], axis=1).astype(np.int32)
        targets = OPERATIONS[self.operation](a, b, self.modulus).astype(np.int32)
        order = generator(self.seed, "split").permutation(len(targets))
        parts = zip(("train", "test"), np.split(order, [self.describe().num_train]), strict=True)
        return Dataset({name: Split(inputs[rows], targets[rows]) for name, rows in parts}, self.modulus, self._num_tokens)

    def _second(self) -> np.ndarray:
        """The values that b may take."""
        values = np.arange(self.modulus)
        return values[np.gcd(values, self.modulus) == 1] if self.operation == "divide" else values
