"""Permutation groups (Power et al. 2022)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ddlab.config import Mark, leaf
from ddlab.data.operation import BinaryOperation

GROUPS = ("S3", "S4", "S5", "A4", "A5")


def _compose(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return x y, [M, n]: the permutations i -> x(y(i))."""
    return np.take_along_axis(x, y, axis=1)


# Of permutations x and y, [M, n] each.
OPERATIONS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "compose": _compose,
    "conjugate": lambda x, y: _compose(_compose(x, y), np.argsort(x, axis=1)),
    "sandwich": lambda x, y: _compose(_compose(x, y), x),
}


@dataclass(frozen=True)
class PermutationGroup(BinaryOperation):
    """All pairs (x, y) of a group of permutations with target x o y, split at random (Power et al. 2022, appendix A.1.1).

    S_n has all n! permutations of n things, A_n the n!/2 even ones. A token is the number of a permutation (x(0), ..., x(n-1)) in
    lexicographic order among those of the group; x y is first y, then x. No operation is symmetric.
    """

    group: str = leaf("symmetric group S_n or alternating group A_n", choices=GROUPS)
    operation: str = leaf("what is learnt: compose x y, conjugate x y x^-1, sandwich x y x", Mark.HOST, choices=tuple(OPERATIONS))

    @property
    def num_elements(self) -> int:
        return len(self._permutations)

    def result(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        permutations = self._permutations
        found = OPERATIONS[self.operation](permutations[a], permutations[b])
        digits = permutations.shape[1] ** np.arange(permutations.shape[1])[::-1]
        return np.searchsorted(permutations @ digits, found @ digits)  # ascend as the permutations do

    @property
    def _permutations(self) -> np.ndarray:
        """The elements by their tokens, [A, n]."""
        size = int(self.group[1])
        found = np.array(list(itertools.permutations(range(size))))
        inversions = sum(found[:, i] > found[:, j] for i, j in itertools.combinations(range(size), 2))
        return found if self.group.startswith("S") else found[inversions % 2 == 0]
