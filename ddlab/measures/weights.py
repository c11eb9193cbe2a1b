"""Measures of the parameters of a network by name."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

import jax
import jax.numpy as jnp
import optax

from ddlab.config import Column, leaf
from ddlab.errors import ConfigError, suggest
from ddlab.measures.base import Measure, Snapshot
from ddlab.measures.spectral import singular_values
from ddlab.parameters import named


def parameter(snapshot: Snapshot, name: str) -> jax.Array:
    """Return a parameter by its dotted name.

    Raises:
        ConfigError: there is none.
    """
    known = named(snapshot.params)
    if name not in known:
        raise ConfigError(f"measures: parameter={name}: no such parameter. {suggest(name, known)}".rstrip())
    return known[name]


@dataclass(frozen=True)
class GroupNorm(Measure):
    """weight_norm_GROUP: the Euclidean norm of the parameters whose names match a pattern."""

    group: str = leaf("what they are called, in the column's name")
    pattern: str = leaf("of dotted names, with * and ? as in a shell: 'unembedding*'")

    def columns(self) -> dict[str, Column]:
        return {f"weight_norm_{self.group}": Column(f"weight norm, {self.group.replace('_', ' ')}")}

    def __call__(self, snapshot: Snapshot) -> dict[str, jax.Array]:
        known = named(snapshot.params)
        found = [array for name, array in known.items() if fnmatchcase(name, self.pattern)]
        if not found:
            raise ConfigError(f"measures: pattern={self.pattern}: matches no parameter. {suggest(self.pattern, known)}".rstrip())
        return {f"weight_norm_{self.group}": optax.tree.norm(found)}


@dataclass(frozen=True)
class DistanceFromStart(Measure):
    """distance_from_start: the Euclidean norm of what all parameters have moved from their initial values."""

    def columns(self) -> dict[str, Column]:
        return {"distance_from_start": Column("distance from the initial weights")}

    def __call__(self, snapshot: Snapshot) -> dict[str, jax.Array]:
        return {"distance_from_start": optax.tree.norm(optax.tree.sub(snapshot.params, snapshot.start_fn()))}


@dataclass(frozen=True)
class EffectiveRank(Measure):
    """effective_rank: exp of the entropy of the singular values of a parameter over their sum (Roy, Vetterli 2007).

    A parameter with more than two axes is a matrix of its first axis and all others.
    """

    parameter: str = leaf("its dotted name")

    def columns(self) -> dict[str, Column]:
        return {"effective_rank": Column("effective rank")}

    def __call__(self, snapshot: Snapshot) -> dict[str, jax.Array]:
        matrix = parameter(snapshot, self.parameter)
        values = singular_values(matrix.reshape(len(matrix), -1))
        return {"effective_rank": jnp.exp(jnp.sum(jax.scipy.special.entr(values / jnp.sum(values))))}
