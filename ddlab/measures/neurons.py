"""How few neurons a network needs: the sparse subnetwork that generalises (Merrill et al. 2023)."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from ddlab.config import Column, leaf
from ddlab.errors import ConfigError
from ddlab.measures.base import AlongPath, Snapshot
from ddlab.measures.weights import parameter
from ddlab.parameters import replaced


@dataclass(frozen=True, kw_only=True)
class ActiveNeurons(AlongPath):
    """active_neurons: the least k such that the k neurons with the largest weights say the same class of every example.

    A neuron is as large as the norm of its incoming weights without the bias; the network of k neurons is the whole one with the
    outgoing weights of the others zero (Merrill, Tsilivis, Shukla 2023, who take the examples of the training set).

    active_norm, inactive_norm: the mean norm of the incoming weights of the neurons that are active in the final model, and of
    the others that it has.
    """

    incoming: str = leaf("dotted name of their weights [inputs, neurons]")
    outgoing: str = leaf("dotted name of the weights [neurons, outputs] behind them")
    split: str = leaf("the examples, such as train or test")

    def columns(self) -> dict[str, Column]:
        labels = {
            "active_neurons": "active neurons",
            "active_norm": "mean norm of the active neurons",
            "inactive_norm": "mean norm of the other neurons",
        }
        return {name: Column(label, along_path=True) for name, label in labels.items()}

    def _check(self, snapshot: Snapshot) -> None:
        """Raise `ConfigError` for data without classes or such a split, and for weights that are none of a layer of neurons."""
        if snapshot.noise_variance is not None:
            raise ConfigError("measures: active neurons are those that decide between classes; the data have real targets")
        if self.split not in snapshot.splits:
            raise ConfigError(f"measures: split={self.split}: the data have {', '.join(snapshot.splits)}")
        incoming, outgoing = (parameter(snapshot, name) for name in (self.incoming, self.outgoing))
        if incoming.ndim != 2 or outgoing.ndim != 2 or incoming.shape[1] != len(outgoing):
            found = f"incoming={self.incoming} and outgoing={self.outgoing}: have shapes {incoming.shape} and {outgoing.shape}"
            raise ConfigError(f"measures: {found}; must be [inputs, neurons] and [neurons, outputs]")

    def final(self, snapshot: Snapshot) -> tuple[jax.Array, jax.Array]:
        """Return which neurons are active in the final model, and which are not, [neurons] bool each; padded ones are neither."""
        self._check(snapshot)
        ranks = self._ranks(snapshot)
        is_active = ranks < self._num_active(snapshot, ranks)
        return is_active, ~is_active & (self._norms(snapshot) > 0)

    def at(self, snapshot: Snapshot, final: tuple[jax.Array, jax.Array]) -> dict[str, jax.Array]:
        norms = self._norms(snapshot)
        active, inactive = (jnp.mean(norms, where=which) for which in final)
        num = self._num_active(snapshot, self._ranks(snapshot))
        return {"active_neurons": num.astype(norms.dtype), "active_norm": active, "inactive_norm": inactive}

    def _norms(self, snapshot: Snapshot) -> jax.Array:
        return jnp.sqrt(jnp.sum(jnp.square(parameter(snapshot, self.incoming)), axis=0))

    def _ranks(self, snapshot: Snapshot) -> jax.Array:
        """Return the place of each neuron by its norm, [neurons] int32, 0 for the largest."""
        return jnp.argsort(jnp.argsort(-self._norms(snapshot))).astype(jnp.int32)

    def _num_active(self, snapshot: Snapshot, ranks: jax.Array) -> jax.Array:
        weights, examples = parameter(snapshot, self.outgoing), snapshot.splits[self.split]

        def classes(num: jax.Array) -> jax.Array:
            kept = jnp.where((ranks < num)[:, None], weights, 0)
            params = replaced(snapshot.params, self.outgoing, kept)
            return jnp.argmax(snapshot.outputs_fn(params, examples.inputs), axis=-1)

        everything = jnp.int32(len(ranks))
        whole = classes(everything)

        def differs(num: jax.Array) -> jax.Array:
            return (num < everything) & jnp.any((classes(num) != whole) & examples.live)

        return jax.lax.while_loop(differs, lambda num: num + 1, jnp.int32(1))
