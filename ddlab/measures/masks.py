"""Measures of which weights a cut would leave, and of how many there are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from ddlab.config import Column, Mark, leaf
from ddlab.measures.base import Measure, Snapshot
from ddlab.parameters import described, largest


@dataclass(frozen=True)
class NumNonzero(Measure):
    """num_nonzero: how many of the parameters are not 0."""

    def columns(self) -> dict[str, Column]:
        return {"num_nonzero": Column("parameters that are not 0")}

    def __call__(self, snapshot: Snapshot) -> dict[str, jax.Array]:
        return {"num_nonzero": _count(jax.tree.leaves(snapshot.params))}


@dataclass(frozen=True)
class MaskDistance(Measure):
    """mask_distance: the share of the weights that two masks differ in, cut here and at the eval point before (You et al. 2020).

    The masks leave out the smallest weights of each layer, a share `drop` of those that are not 0. Masks that have nothing to do
    with each other differ in 2 drop (1 - drop) of the weights. At step 0, before which there is no mask, it is nan.
    """

    drop: float = leaf("share of the weights of each layer that the masks leave out", Mark.TRACED, low=0, high=1)

    needs_before = True

    def columns(self) -> dict[str, Column]:
        return {"mask_distance": Column("mask distance")}

    def __call__(self, snapshot: Snapshot) -> dict[str, jax.Array]:
        counted = jax.tree.map(lambda array: array != 0, snapshot.params)
        masks = [jax.tree.leaves(largest(params, counted, self.drop)) for params in (snapshot.before, snapshot.params)]
        among = zip(described(counted).values(), jax.tree.leaves(counted), strict=True)
        weights = _count(array for parameter, array in among if parameter.is_weight)
        differing = _count(one != other for one, other in zip(*masks, strict=True))
        return {"mask_distance": differing.astype(float) / jnp.maximum(weights, 1).astype(float)}


def _count(arrays: Iterable[jax.Array]) -> jax.Array:
    """Return how many entries of some arrays are not 0, []."""
    return sum((jnp.count_nonzero(array) for array in arrays), jnp.zeros((), int))
