"""Scores of weights: how much a weight is worth keeping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ddlab.measures import Snapshot
from ddlab.starts.base import Score


@dataclass(frozen=True)
class Magnitude(Score):
    """|w| (Han et al. 2015; Frankle, Carbin 2019)."""

    def __call__(self, snapshot: Snapshot) -> Any:
        return jax.tree.map(jnp.abs, snapshot.params)


@dataclass(frozen=True)
class Random(Score):
    """All alike, so that chance decides: a cut orders equal scores at random."""

    def __call__(self, snapshot: Snapshot) -> Any:
        return jax.tree.map(jnp.zeros_like, snapshot.params)
