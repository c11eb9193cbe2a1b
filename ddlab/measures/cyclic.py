"""What a network says of all pairs (a, b) of an operation that is addition in a cyclic group, and its Fourier analysis.

Addition and subtraction mod p are the group Z_p. Multiplication and division of the residues but 0 of a prime p are Z_(p-1)
after relabelling each by its discrete logarithm: g^x g^y = g^(x+y) for a primitive root g. Without that the frequencies of a
network that multiplies mean nothing.

Shapes: n elements, x and y of a pair, s = x + y (or x - y), z of an answer; k = 1, ..., n // 2 frequencies, of which n / 2 has no
sine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ddlab.config import leaf
from ddlab.data import TEST, TRAIN
from ddlab.data.operation import SEQUENCES
from ddlab.errors import ConfigError
from ddlab.measures.base import Measure, Snapshot
from ddlab.measures.examples import Examples

# Operations that are addition in a cyclic group, after relabelling or not -> the sign of b.
ADDITIVE = {"add": 1, "subtract": -1}
MULTIPLICATIVE = {"multiply": 1, "divide": -1}


@dataclass(frozen=True)
class Cyclic:
    """A cyclic group behind an operation mod p.

    Attributes:
        elements: [n] the residue of each exponent 0, ..., n - 1.
        sign: of the exponent of b: 1 or -1.
    """

    elements: np.ndarray
    sign: int

    @staticmethod
    def of(operation: str, modulus: int) -> Cyclic:
        """Return the group of an operation.

        Raises:
            ConfigError: there is none.
        """
        if operation in ADDITIVE:
            return Cyclic(np.arange(modulus), ADDITIVE[operation])
        if operation not in MULTIPLICATIVE:
            known = ", ".join((*ADDITIVE, *MULTIPLICATIVE))
            raise ConfigError(f"data.operation={operation}: its frequencies are known for {known} only")
        powers = next(
            (found for root in range(1, modulus) if len({*(found := _powers(root, modulus))} - {0}) == modulus - 1), None
        )
        if powers is None:
            raise ConfigError(f"data.modulus={modulus}: must be a prime for the frequencies of {operation}")
        return Cyclic(np.array(powers), MULTIPLICATIVE[operation])

    @property
    def num(self) -> int:
        """n."""
        return len(self.elements)

    @property
    def num_frequencies(self) -> int:
        """n // 2."""
        return self.num // 2

    def exponents(self, num_tokens: int) -> np.ndarray:
        """Return the exponent of each token, [num_tokens] int32; n for one that is no element."""
        found = np.full(num_tokens, self.num, np.int32)
        found[self.elements] = np.arange(self.num)
        return found

    def sums(self) -> np.ndarray:
        """Return s of each pair (x, y), [n, n] int32."""
        x, y = np.ogrid[: self.num, : self.num]
        return ((x + self.sign * y) % self.num).astype(np.int32)

    def seconds(self) -> np.ndarray:
        """Return the y of each x and s, [n, n] int32."""
        x, s = np.ogrid[: self.num, : self.num]
        return (self.sign * (s - x) % self.num).astype(np.int32)

    def weights(self) -> np.ndarray:
        """Return [n // 2] how many of the n frequencies of a real function each k stands for: 2, and 1 for n / 2."""
        weights = np.full(self.num_frequencies, 2.0)
        if self.num % 2 == 0:
            weights[-1] = 1.0
        return weights


def _powers(root: int, modulus: int) -> list[int]:
    powers = [1]
    for _ in range(modulus - 2):
        powers.append(powers[-1] * root % modulus)
    return powers


@dataclass(frozen=True)
class Table:
    """What is known of all pairs of a group.

    Attributes:
        logits: [n, n, n], of x, y and z.
        answers: [n, n] int32, z of each pair, with label noise that of the training set; n where that is no element.
        in_train: [n, n] bool.
        is_whole: [] bool, whether every pair is in one of the splits.
    """

    logits: jax.Array
    answers: jax.Array
    in_train: jax.Array
    is_whole: jax.Array

    @property
    def is_answered(self) -> jax.Array:
        """[n, n] bool, whether the answer of a pair is an element of the group; a wrong label need not be."""
        return self.answers < len(self.answers)


@dataclass(frozen=True, kw_only=True)
class OfPairs(Measure):
    """Base of measures of all pairs (a, b) of modular addition, subtraction, multiplication or division.

    The pairs are those of training and test set together; nan where some are in neither. Multiplication and division are measured
    on the residues but 0, by their discrete logarithms.
    """

    modulus: int = leaf("p, that of the data", low=3, high=10_000)
    operation: str = leaf("that of the data", choices=(*ADDITIVE, *MULTIPLICATIVE))
    sequence: str = leaf("that of the data", choices=SEQUENCES)

    def check(self) -> None:
        Cyclic.of(self.operation, self.modulus)

    @property
    def group(self) -> Cyclic:
        return Cyclic.of(self.operation, self.modulus)

    def num_entries(self, num_units: int) -> int:
        del num_units
        return 2 * self.group.num**3  # a number for each answer of each pair, and what is computed of it

    def table(self, snapshot: Snapshot) -> Table:
        """Return what the network says of all pairs."""
        exponents = jnp.asarray(self.group.exponents(self.modulus))

        def said(split: str, examples: Examples) -> tuple[jax.Array, ...]:
            logits = snapshot.outputs_fn(snapshot.params, examples.inputs)[:, self.group.elements]
            return logits, exponents[examples.targets], jnp.full(examples.rows, split == TRAIN)

        (logits, answers, in_train), is_whole = self.on_pairs(snapshot, said)
        return Table(logits, answers, in_train, is_whole)

    def on_pairs(self, snapshot: Snapshot, of_split: Callable[[str, Examples], Any]) -> tuple[Any, jax.Array]:
        """Return what is known of the examples on all pairs, a pytree of [n, n, ...], and whether all pairs are there, [] bool.

        Args:
            snapshot: has the examples.
            of_split: name and examples of a split -> a pytree of [rows, ...]; 0 where no example is.
        """
        n, splits = self.group.num, ((split, snapshot.splits[split]) for split in (TRAIN, TEST))
        parts = [(self.places(examples), of_split(split, examples)) for split, examples in splits]
        place, values = jax.tree.map(lambda *arrays: jnp.concatenate(arrays), *parts)

        def filled(array: jax.Array) -> jax.Array:
            blank = jnp.zeros((n * n, *array.shape[1:]), array.dtype)
            return blank.at[place].set(array, mode="drop").reshape(n, n, *array.shape[1:])

        return jax.tree.map(filled, values), filled(jnp.ones(len(place), bool)).all()

    def places(self, examples: Examples) -> jax.Array:
        """Return where each example lies in a table, n x + y, [rows] int32; n^2 for a row of nobody or of no such pair."""
        n, names = self.group.num, self.sequence.split()
        exponents = jnp.asarray(self.group.exponents(self.modulus + len(names)))
        x, y = (exponents[examples.inputs[:, names.index(name)]] for name in ("a", "b"))
        return jnp.where(examples.live & (x < n) & (y < n), n * x + y, n * n)


# --- along the sums ------------------------------------------------------------------------------------------------------------


def waves(num: int, dtype: Any) -> jax.Array:
    """Return cos w_k s and sin w_k s of k = 0, 1, ..., n // 2 and all s, [2, n // 2 + 1, n].

    Products with them take the place of fast Fourier transforms: n is small, and those of XLA may wait for each other for ever
    where several devices of a CPU compute them in a loop.
    """
    angles = 2 * np.pi * (np.arange(num // 2 + 1)[:, None] * np.arange(num) % num) / num
    return jnp.asarray(np.stack([np.cos(angles), np.sin(angles)]), dtype)


def along_sums(table: Table, group: Cyclic) -> jax.Array:
    """Return the sums over s of the logits' mean over the pairs of each s, times each wave: [2, n // 2 + 1, n] of z.

    What a function of x and y has along cos w_k s and sin w_k s (w_k = 2 pi k / n) is all in this mean.
    """
    rows = jnp.arange(group.num, dtype=jnp.int32)[:, None]
    of_sums = jnp.mean(table.logits[rows, jnp.asarray(group.seconds())], axis=0)
    return jnp.einsum("wks,sz->wkz", waves(group.num, of_sums.dtype), of_sums)


def power(table: Table) -> jax.Array:
    """Return the sum over pairs and answers of the squared logits, each answer's mean over the pairs taken off, []."""
    return jnp.sum(jnp.square(table.logits - jnp.mean(table.logits, axis=(0, 1))))


def sum_shares(table: Table, group: Cyclic) -> jax.Array:
    """Return the share of the logits' variance along cos w_k s and sin w_k s, of each k, [n // 2]."""
    along = along_sums(table, group)[:, 1:]
    weights = jnp.asarray(group.weights(), along.dtype)
    return weights * jnp.sum(jnp.square(along), axis=(0, 2)) / power(table)


def cosine_shares(table: Table, group: Cyclic) -> jax.Array:
    """Return the share of the logits' variance along cos w_k (s - z), of each k, [n // 2]."""
    along = along_sums(table, group)[:, 1:]
    weights = jnp.asarray(group.weights(), along.dtype)
    turned = jnp.sum(along * waves(group.num, along.dtype)[:, 1:], axis=(0, 2))
    return weights * jnp.square(turned) / group.num / power(table)


def components(table: Table, group: Cyclic, keys: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return what the logits have along s at some frequencies, [n, n] of s and z, and their mean over all pairs, [n] of z.

    Args:
        table: of all pairs.
        group: of it.
        keys: [n // 2] bool.
    """
    along = along_sums(table, group)
    weights = jnp.where(keys, jnp.asarray(group.weights(), along.dtype), 0) / group.num
    of_sums = jnp.einsum("wks,wkz,k->sz", waves(group.num, along.dtype)[:, 1:], along[:, 1:], weights)
    return of_sums, along[0, 0] / group.num


def key_frequencies(shares: jax.Array, least: float, most: int) -> jax.Array:
    """Return the fewest frequencies that have together this share of what all have, at most so many, [n // 2] bool."""
    order = jnp.argsort(-shares)
    before = jnp.cumsum(shares[order]) - shares[order]  # what those before each have
    chosen = (before < least * jnp.sum(shares)) & (jnp.arange(len(shares), dtype=jnp.int32) < most)
    return jnp.zeros(len(shares), bool).at[order].set(chosen)


def softmax_losses(logits: jax.Array, answers: jax.Array) -> jax.Array:
    """Return the cross-entropy of each pair, [n, n], of logits [n, n, n] and answers [n, n]."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, jnp.minimum(answers, logits.shape[-1] - 1))


def mean_where(values: jax.Array, chosen: jax.Array) -> jax.Array:
    """Return the mean of values over those that are chosen, an array of bool."""
    return jnp.sum(jnp.where(chosen, values, 0)) / jnp.sum(chosen).astype(values.dtype)


def where_whole(table: Table, found: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """Return what was measured, nan where the table is not whole."""
    return {name: jnp.where(table.is_whole, value, jnp.nan) for name, value in found.items()}
