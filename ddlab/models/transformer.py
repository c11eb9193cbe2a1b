"""The decoder transformer of the grokking papers, which answers at the last position of its input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from ddlab.config import Mark, leaf
from ddlab.data import Spec
from ddlab.errors import ConfigError
from ddlab.losses import Outputs
from ddlab.models.attention import LONGEST_WAVE, AttentionModel, Blocks, Drawn, LayeredLinear
from ddlab.models.init import Axis, Init
from ddlab.models.norms import LayerNorm
from ddlab.models.products import lookup, matmul

POSITIONS = ("learned", "sinusoidal", "rotary", "none")


@dataclass(frozen=True)
class Transformer(AttentionModel):
    """Tokens -> embedding -> `depth` blocks of causal attention and MLP -> outputs at the last position (Vaswani et al. 2017).

    What the last position does not read is not computed: the last block has one query, and the keys and values of the first are
    made once for each token and position, not for each example.
    """

    positions: str = leaf("how positions are told apart", choices=POSITIONS)
    attention: float = leaf(
        "share of the softmax in the attention; the rest is uniform (Zhong et al. 2023)", Mark.TRACED, low=0, high=1
    )
    tied: bool = leaf("the unembedding is the transposed embedding")

    def check(self) -> None:
        if self.positions == "rotary" and self.head_size % 2:
            raise ConfigError(f"model.head_size={self.head_size}: must be even with model.positions=rotary, which turns pairs")

    def make(self, spec: Spec, init: Init) -> nnx.Module:
        if spec.inputs.size is None or len(spec.inputs.shape) != 1:
            raise ConfigError("model: a transformer needs inputs that are a sequence of tokens, such as those of data=modular")
        if self.tied and spec.num_outputs > spec.inputs.size:
            raise ConfigError(f"model.tied=true: {spec.num_outputs} outputs need as many tokens, not {spec.inputs.size}")
        return _Network(self, spec, init)


class _Network(nnx.Module):
    def __init__(self, model: Transformer, spec: Spec, init: Init):
        (length,) = spec.inputs.shape
        width, outputs = init.axis("width", model.width), init.axis("outputs", spec.num_outputs)
        tokens, positions = init.axis("tokens", spec.inputs.size), init.axis("positions", length)
        drawn, rotated = Drawn(model, init, width), length if model.positions == "rotary" else None
        self.embedding = drawn.embedding("embedding", (tokens, width))
        self.positions = drawn.embedding("positions", (positions, width)) if model.positions == "learned" else None
        self.waves = init.constant(_waves(length, width, init)) if model.positions == "sinusoidal" else None
        self.blocks = Blocks(model, drawn, width, init, is_causal=True, rotated=rotated, share=model.attention)
        self.unembedding = None if model.tied else drawn.unembedding("unembedding", (width, outputs))
        self.unembedding_bias = drawn.bias("unembedding.bias", (outputs,), (width,)) if model.bias == "all" else None
        self.num_outputs = spec.num_outputs

    def __call__(self, tokens: jax.Array) -> Outputs:
        x, neurons = self.blocks(_Rows(self.embedding[...], tokens, self._added()), tokens.shape[1] - 1)
        weight = self.embedding[...][: self.num_outputs].T if self.unembedding is None else self.unembedding[...]
        outputs = matmul(x[:, -1], weight)
        if self.unembedding_bias is not None:
            outputs = outputs + self.unembedding_bias[...]
        return Outputs(outputs, activations={} if neurons is None else {"neurons": neurons[:, -1]})

    def _added(self) -> jax.Array | None:
        """Return what positions add to the embedding, [L, width]; None: nothing."""
        return self.positions[...] if self.positions is not None else None if self.waves is None else self.waves[...]


class _Rows(NamedTuple):
    """The residual stream before any block: of each token a row, to which its position adds something.

    What is linear in it is made once for each row, not for each example.

    Attributes:
        table: [R, width].
        wanted: the row of each token, [B, L].
        added: [L, width]; None: nothing.
    """

    table: jax.Array
    wanted: jax.Array
    added: jax.Array | None

    def dense(self, start: int) -> jax.Array:
        """Return the stream at the positions from `start` on, [B, L - start, width]."""
        found = _taken(self.table, self.wanted[:, start:])
        return found if self.added is None else found + self.added[start:]

    def through(self, linear: LayeredLinear, layer: int, start: int) -> jax.Array:
        """Return it after a linear layer, at the positions from `start` on, [B, L - start, *fan_out]."""
        found = _taken(linear(self.table, layer), self.wanted[:, start:])
        return found if self.added is None else found + linear(self.added[start:], layer, biased=False)

    def normed(self, norm: LayerNorm, layer: int) -> _Rows:
        """Return normalised rows, of each token at each position."""
        if self.added is None:
            return _Rows(norm(self.table, layer), self.wanted, None)
        table = self.added[:, None] + self.table
        first = len(self.table) * jnp.arange(len(table), dtype=jnp.int32)
        return _Rows(norm(table, layer).reshape(-1, table.shape[-1]), self.wanted + first, None)


def _taken(table: jax.Array, index: jax.Array) -> jax.Array:
    """Return the rows of a table [R, ...] that an index [B, L] names, [B, L, ...]."""
    return lookup(table.reshape(len(table), -1), index.ravel()).reshape(*index.shape, *table.shape[1:])


def _waves(length: int, width: Axis, init: Init) -> jax.Array:
    """Return sinusoidal positions [L, width] (Vaswani et al. 2017, section 3.5), zero beyond the live entries."""
    live = init.length(width)
    entries, places = (jnp.arange(num, dtype=live.dtype) for num in (width.size, length))
    angles = places[:, None] * LONGEST_WAVE ** (-(entries - entries % 2) / live)
    return jnp.where(entries % 2 == 0, jnp.sin(angles), jnp.cos(angles)) * init.live(width)
