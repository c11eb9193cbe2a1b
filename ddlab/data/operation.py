"""Tables of a binary operation (Power et al. 2022): learn c = a o b from a fraction of all pairs (a, b)."""

from __future__ import annotations

import abc
from dataclasses import dataclass

import numpy as np

from ddlab.config import Mark, leaf, seed_leaf
from ddlab.data.base import Dataset, Field, Spec, Split
from ddlab.data.noise import NoisyLabels
from ddlab.errors import ConfigError
from ddlab.streams import generator

# What an input may look like. Nanda et al. 2023: a b =; Power et al. 2022: a o b =.
OPERANDS = {"a", "b"}
SEQUENCES = ("a b", "a b =", "a o b =")
PAIRS = ("all", "unordered", "mirrored")


@dataclass(frozen=True)
class BinaryOperation(NoisyLabels):
    """Base of data sets of pairs (a, b) with target a o b, split at random into training and test set.

    Inputs are the tokens a, b; or those of an equation, with one more token for "=" and one for "o", which are no answers.

    `pairs`: all; unordered: those with a <= b (Liu et al. 2022); mirrored: all, (b, a) right after (a, b) in the order that is
    split, so that the mirror of a training pair is a training pair, too, but for at most one that the fraction cuts
    (commutative augmentation). The last two need an operation that is symmetric: a o b = b o a.
    """

    operation: str = leaf("what is learnt: a o b")
    train_fraction: float = leaf("fraction of the pairs that is trained on", Mark.SIZE, above=0, high=1)
    sequence: str = leaf("tokens of an input", choices=SEQUENCES, off="a b")
    pairs: str = leaf("which pairs there are, in which order", choices=PAIRS, off="all")
    seed: int = seed_leaf("seed of the split")

    NESTED_BY = "train_fraction"

    @property
    @abc.abstractmethod
    def num_elements(self) -> int:
        """How many a there are: 0, 1, ..."""

    @property
    def num_results(self) -> int:
        """How many results there may be: 0, 1, ..."""
        return self.num_elements

    @property
    def is_symmetric(self) -> bool:
        """Whether a o b = b o a for all a and b."""
        return False

    @property
    def second(self) -> np.ndarray:
        """The elements that b may be, in ascending order; all where the operation is symmetric."""
        return np.arange(self.num_elements)

    @abc.abstractmethod
    def result(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return a o b of elements a and b, [M] each."""

    def check(self) -> None:
        if self.pairs != "all" and not self.is_symmetric:
            raise ConfigError(
                f"data.pairs={self.pairs}: must be all with data.operation={self.operation}, which is not symmetric"
            )
        spec = self.describe()
        if min(spec.sizes.values()) < 1:
            raise ConfigError(
                f"data.train_fraction={self.train_fraction}: leaves {spec.num_train} training and {spec.num_evaluated} test pairs"
                f" of {sum(spec.sizes.values())}; each must be at least 1"
            )

    def describe(self) -> Spec:
        num = self.num_elements
        num_pairs = num * (num + 1) // 2 if self.pairs == "unordered" else num * len(self.second)
        num_train = round(self.train_fraction * num_pairs)
        sizes = {"train": num_train, "test": num_pairs - num_train}
        return Spec(Field((len(self._tokens),), self._num_tokens), Field(size=self.num_results), sizes)

    def load(self) -> Dataset:
        a, b = self._ordered_pairs().T
        tokens = {"a": a, "b": b, "=": np.full_like(a, self.num_elements), "o": np.full_like(a, self.num_elements + 1)}
        inputs = np.stack([tokens[name] for name in self._tokens], axis=1).astype(np.int32)
        targets = self.result(a, b).astype(np.int32)
        num_train = self.describe().num_train
        train, test = (Split(inputs[part], targets[part]) for part in (slice(None, num_train), slice(num_train, None)))
        return self.dataset({"train": train, "test": test}, self.num_results, self._num_tokens)

    @property
    def _tokens(self) -> list[str]:
        return self.sequence.split()

    @property
    def _num_tokens(self) -> int:
        return self.num_elements + len(set(self._tokens) - OPERANDS)

    def _ordered_pairs(self) -> np.ndarray:
        """Return all pairs [M, 2], of which the first ones are trained on."""
        pairs = np.stack(np.meshgrid(np.arange(self.num_elements), self.second, indexing="ij"), axis=-1).reshape(-1, 2)
        if self.pairs != "all":
            pairs = pairs[pairs[:, 0] <= pairs[:, 1]]
        pairs = pairs[generator(self.seed, "split").permutation(len(pairs))]
        if self.pairs != "mirrored":
            return pairs
        both = np.stack([pairs, pairs[:, ::-1]], axis=1)
        is_new = np.stack([np.full(len(pairs), True), pairs[:, 0] != pairs[:, 1]], axis=1)
        return both[is_new]
