"""A measure along the path."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax

from ddlab.config import Column
from ddlab.measures import AlongPath


@dataclass(frozen=True)
class ToFinal(AlongPath):
    """The distance to the final parameters, and the mean output on the test set times their norm."""

    def columns(self):
        return {name: Column(name, along_path=True) for name in ("distance", "output")}

    def final(self, snapshot):
        return snapshot.params

    def at(self, snapshot, final):
        apart = jax.tree.map(jnp.subtract, snapshot.params, final)
        mean = snapshot.mean_fn(lambda outputs, _: outputs[..., 0], snapshot.params, snapshot.test)
        return {"distance": optax.tree.norm(apart), "output": mean * optax.tree.norm(final)}
