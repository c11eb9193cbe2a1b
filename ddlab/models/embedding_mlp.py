"""An MLP on embeddings of tokens, the smallest network that groks modular arithmetic with an embedding."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx

from ddlab.config import Mark, leaf
from ddlab.data import Spec
from ddlab.errors import ConfigError
from ddlab.models.init import Init
from ddlab.models.inputs import project
from ddlab.models.layers import Linear
from ddlab.models.mlp import LayeredModel, LayeredNetwork
from ddlab.models.products import matmul

JOINS = ("concatenate", "sum")


@dataclass(frozen=True)
class EmbeddingMLP(LayeredModel):
    """Tokens -> one embedding for all places -> joined -> width -> ... -> width -> K, with `depth` hidden layers.

    The embeddings of the L tokens are concatenated, or summed (Liu et al. 2022): then the network is symmetric in its tokens.
    They begin as N(0, init_scale^2) with initializer=torch, as PyTorch's do, and else as N(0, init_scale^2 / embedding).

    P = A E + (L E + 1) h + (depth - 1)(h + 1) h + (h + 1) K with biases, for A tokens, E entries of an embedding and width h; the
    first layer of a sum has (E + 1) h.
    """

    embedding: int = leaf("entries of the embedding of a token E", Mark.SIZE, low=1, high=10_000)
    join: str = leaf("what is made of the embeddings of an input", choices=JOINS)

    def make(self, spec: Spec, init: Init) -> nnx.Module:
        if spec.inputs.size is None or len(spec.inputs.shape) != 1:
            raise ConfigError("model: embedding_mlp needs inputs that are a sequence of tokens, such as those of data=modular")
        tokens, entries = init.axis("tokens", spec.inputs.size), init.axis("embedding", self.embedding)
        std = 1.0 if self.initializer == "torch" else 1 / jnp.sqrt(init.length(entries))
        table = init.normal("embedding", (tokens, entries), self.init_scale * std)
        places = (init.axis("places", *spec.inputs.shape),) if self.join == "concatenate" else ()
        return _Network(table, self.layers((*places, entries), spec, init), self.activation, spec)


class _Network(LayeredNetwork):
    def __init__(self, embedding: nnx.Param, layers: list[Linear], activation: str, spec: Spec):
        super().__init__(layers, activation, spec)
        self.embedding = embedding

    def product(self, x: jax.Array, weight: jax.Array) -> jax.Array:
        """Of a weight [L, E, width] of concatenated embeddings, or [E, width] of their sum: made once for each token."""
        table = self.embedding[...]
        rows = [matmul(table, weight)] * x.shape[1] if weight.ndim == 2 else [matmul(table, of_place) for of_place in weight]
        return project(x, jnp.concatenate(rows), self.spec)
