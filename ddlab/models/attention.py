"""Blocks of attention and MLP (Vaswani et al. 2017), which transformers on tokens and on patches share.

Shapes: B examples, L positions, Q of them that queries are made at: the last ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from flax import nnx

from ddlab.config import Mark, leaf
from ddlab.models.base import Model
from ddlab.models.init import Axis, Init
from ddlab.models.layers import ACTIVATIONS
from ddlab.models.norms import LayerNorm
from ddlab.models.products import matmul
from ddlab.parameters import LAYERS

NORMS, KINDS = ("none", "pre", "post"), ("layer", "rms")
INITIALIZERS = ("nanda", "torch", "standard")
BIASES = ("none", "mlp", "all")

# Su et al. 2021, section 3.2.2.
LONGEST_WAVE = 10_000.0


@dataclass(frozen=True)
class AttentionModel(Model):
    """Base of transformers: `depth` blocks of attention and MLP on a residual stream.

    A block is x + attention(x), then x + mlp(x); `norm` says whether what they take (pre), or what they give (post), is
    normalised.

    Initial weights: `nanda` (Nanda et al. 2023): N(0, 1 / width), the last layer N(0, 1 / K); `torch`: embeddings N(0, 1),
    linear layers and their biases uniform in +-1 / sqrt(fan_in); `standard`: N(0, 1 / fan_in), embeddings N(0, 1 / width).
    """

    width: int = leaf("entries of the residual stream, d_model", Mark.SIZE, low=1, high=1024)
    num_params: int | None = leaf("wanted parameter count P; when set, the width is solved for", low=1, high=10**9, off=None)
    depth: int = leaf("blocks", Mark.SIZE, low=1, high=64)
    heads: int = leaf("attention heads of a block", Mark.SIZE, low=1, high=1024)
    head_size: int = leaf("entries of a query, key or value", Mark.SIZE, low=1, high=1024)
    hidden: int | None = leaf("hidden units of a block's MLP; null: it has none, attention only", Mark.SIZE, low=1, high=10**5)
    activation: str = leaf("non-linearity of the MLP; swiglu: gated (Shazeer 2020)", choices=(*ACTIVATIONS, "swiglu"))
    norm: str = leaf("where the residual stream is normalised", choices=NORMS)
    norm_kind: str = leaf("by mean and variance, or by the root mean square", choices=KINDS)
    bias: str = leaf("which linear layers have biases", choices=BIASES)
    initializer: str = leaf("convention of the initial weights", choices=INITIALIZERS)
    init_scale: float = leaf("multiplies every initial weight and bias", Mark.TRACED, above=0)


class Drawn:
    """Draws the weights of a component in its convention."""

    def __init__(self, model: AttentionModel, init: Init, width: Axis):
        self._init, self._convention, self._scale, self._width = init, model.initializer, model.init_scale, width

    def embedding(self, name: str, axes: tuple[Axis, ...]) -> nnx.Param:
        std = 1.0 if self._convention == "torch" else self._deviation((self._width,))
        return self._init.normal(name, axes, self._scale * std)

    def linear(self, name: str, axes: tuple[Axis, ...], fan_in: tuple[Axis, ...]) -> nnx.Param:
        """Return the weight of a layer that sums over the axes `fan_in`."""
        if self._convention == "torch":
            return self._init.uniform(name, axes, self._scale * self._deviation(fan_in) / 3**0.5)
        inputs = (self._width,) if self._convention == "nanda" else fan_in
        return self._init.normal(name, axes, self._scale * self._deviation(inputs))

    def unembedding(self, name: str, axes: tuple[Axis, Axis]) -> nnx.Param:
        if self._convention == "nanda":
            return self._init.normal(name, axes, self._scale * self._deviation(axes[1:]))
        return self.linear(name, axes, axes[:1])

    def bias(self, name: str, axes: tuple[Axis, ...], fan_in: tuple[Axis, ...]) -> nnx.Param:
        if self._convention == "torch":
            return self._init.uniform(name, axes, self._scale * self._deviation(fan_in) / 3**0.5)
        return self._init.zeros(axes)

    def _deviation(self, fan_in: tuple[Axis, ...]) -> jax.Array:
        """Return one over the root of so many inputs."""
        return 1 / jnp.sqrt(math.prod(self._init.length(axis) for axis in fan_in))


class LayeredLinear(nnx.Module):
    """A linear layer of every block, of the last axes in `num_inputs` of x; weights [layers, *inputs, *outputs]."""

    def __init__(self, weight: nnx.Param, bias: nnx.Param | None, num_inputs: int = 1):
        self.weight, self.bias, self.num_inputs = weight, bias, num_inputs

    def __call__(self, x: jax.Array, layer: int, *, biased: bool = True) -> jax.Array:
        weight = self.weight[...][layer]
        fan_out, inputs = weight.shape[self.num_inputs :], math.prod(weight.shape[: self.num_inputs])
        rows = x.shape[: x.ndim - self.num_inputs]
        z = matmul(x.reshape(-1, inputs), weight.reshape(inputs, -1)).reshape(*rows, *fan_out)
        return z if self.bias is None or not biased else z + self.bias[...][layer]


class Stream(Protocol):
    """The residual stream before a block, at all positions."""

    def dense(self, start: int) -> jax.Array:
        """Return it at the positions from `start` on, [B, L - start, width]."""

    def through(self, linear: LayeredLinear, layer: int, start: int) -> jax.Array:
        """Return it after a linear layer, at the positions from `start` on, [B, L - start, *fan_out]."""

    def normed(self, norm: LayerNorm, layer: int) -> Stream:
        """Return it normalised."""


class Dense(NamedTuple):
    """The residual stream as an array [B, L, width]."""

    x: jax.Array

    def dense(self, start: int) -> jax.Array:
        return self.x[:, start:]

    def through(self, linear: LayeredLinear, layer: int, start: int) -> jax.Array:
        return linear(self.x[:, start:], layer)

    def normed(self, norm: LayerNorm, layer: int) -> Dense:
        return Dense(norm(self.x, layer))


class Blocks(nnx.Module):
    """The blocks of a network: a position reads all of them, or in a causal one those before it and its own."""

    def __init__(
        self,
        model: AttentionModel,
        drawn: Drawn,
        width: Axis,
        init: Init,
        *,
        is_causal: bool,
        rotated: int | None = None,
        share: Any = None,
    ):
        """
        Args:
            model: what it is made by.
            drawn: its weights.
            width: of the residual stream.
            init: of the trial.
            is_causal: whether positions are in an order.
            rotated: positions L that turn queries and keys (rotary); None: they do not.
            share: of the softmax in the attention; the rest is uniform. None: all of it.
        """
        layers, all_biased = init.axis(LAYERS, model.depth), model.bias == "all"
        heads, head_size = init.axis("heads", model.heads, "head"), init.axis("head_size", model.head_size)

        def linear(name: str, fan_in: tuple[Axis, ...], fan_out: tuple[Axis, ...], biased: bool) -> LayeredLinear:
            weight = drawn.linear(name, (layers, *fan_in, *fan_out), fan_in)
            bias = drawn.bias(f"{name}.bias", (layers, *fan_out), fan_in) if biased else None
            return LayeredLinear(weight, bias, len(fan_in))

        self.turns = None if rotated is None else init.constant(_angles(rotated, head_size, init))
        self.query, self.key, self.value = (
            linear(name, (width,), (heads, head_size), all_biased) for name in ("query", "key", "value")
        )
        self.attended = linear("attended", (heads, head_size), (width,), all_biased)
        self.scale = init.constant(1 / jnp.sqrt(init.length(head_size)))
        self.share = None if share is None else init.constant(share)
        if model.hidden is None:
            self.hidden = self.gate = self.read = None
        else:
            hidden = init.axis("hidden", model.hidden, "neuron")
            is_gated, biased = model.activation == "swiglu", model.bias != "none"
            self.hidden = linear("hidden", (width,), (hidden,), biased)
            self.gate = linear("gate", (width,), (hidden,), biased) if is_gated else None
            self.read = linear("read", (hidden,), (width,), biased)
        self.activation: Callable[[jax.Array], jax.Array] = ACTIVATIONS.get(model.activation, jax.nn.silu)
        norms = [] if model.norm == "none" else ["attention"] if model.hidden is None else ["attention", "mlp"]
        self.norms = nnx.Dict({name: LayerNorm((layers, width), init, model.norm_kind) for name in norms})
        self.last_norm = LayerNorm((width,), init, model.norm_kind) if model.norm == "pre" else None
        self.is_pre, self.is_causal, self.num_layers = model.norm == "pre", is_causal, layers.size
        self.live = init.constant(init.live(layers))

    def __call__(self, stream: Stream, wanted: int) -> tuple[jax.Array, jax.Array | None]:
        """Return the residual stream [B, Q, width] behind all blocks, and the neurons [B, Q, hidden] of the last.

        Args:
            stream: before them.
            wanted: the first position at which they are wanted; what it and the later ones do not read is not computed.
        """
        last = self.num_layers - 1
        read: Stream = self._read(stream, 0)
        x, neurons = stream.dense(wanted if last == 0 else 0), None
        for layer in range(self.num_layers):
            start = wanted if layer == last else 0
            if layer > 0:
                read, x = self._read(Dense(x), layer), x[:, start:]
            given = self._block(x, read, layer, start)
            if layer > 0:  # of a trial with fewer blocks than its pack, the others do nothing
                before = (x, None if neurons is None else neurons[:, start:])
                given = jax.tree.map(partial(jnp.where, self.live[...][layer] > 0), given, before)
            x, neurons = given
        return (x if self.last_norm is None else self.last_norm(x)), neurons

    def _read(self, stream: Stream, layer: int) -> Stream:
        """Return what the attention of a block reads."""
        return stream.normed(self.norms["attention"], layer) if self.is_pre else stream

    def _block(self, x: jax.Array, read: Stream, layer: int, start: int) -> tuple[jax.Array, jax.Array | None]:
        """Return the residual stream [B, Q, width] after a block, and its neurons [B, Q, hidden], at the positions from `start`.

        Args:
            x: before it, at these positions.
            read: what its attention reads, at all positions.
            layer: of the block.
            start: first position whose stream is wanted.
        """
        x = x + self._attention(read, layer, start)
        if "attention" in self.norms and not self.is_pre:
            x = self.norms["attention"](x, layer)
        if self.hidden is None or self.read is None:
            return x, None
        taken = self.norms["mlp"](x, layer) if self.is_pre else x
        neurons = self.activation(self.hidden(taken, layer) if self.gate is None else self.gate(taken, layer))
        if self.gate is not None:
            neurons = neurons * self.hidden(taken, layer)
        x = x + self.read(neurons, layer)
        return (self.norms["mlp"](x, layer) if "mlp" in self.norms and not self.is_pre else x), neurons

    def _attention(self, read: Stream, layer: int, start: int) -> jax.Array:
        """Return what the positions from `start` on take from those that they read, [B, Q, width]."""
        queries, keys = read.through(self.query, layer, start), read.through(self.key, layer, 0)
        values = read.through(self.value, layer, 0)
        if self.turns is not None:
            queries, keys = _turned(queries, self.turns[...][start:]), _turned(keys, self.turns[...])
        scores = self.scale[...] * jnp.einsum("bqhe,bkhe->bhqk", queries, keys)
        length = keys.shape[1]
        seen = jnp.arange(length) <= jnp.arange(start, length)[:, None]
        weights = jax.nn.softmax(jnp.where(seen, scores, -jnp.inf) if self.is_causal else scores)
        if self.share is not None:
            uniform, share = seen.astype(weights.dtype), self.share[...]
            uniform = uniform / jnp.sum(uniform, axis=1, keepdims=True)
            weights = share * weights + (1 - share) * uniform
        return self.attended(jnp.einsum("bhqk,bkhe->bqhe", weights, values), layer)


def _angles(length: int, head_size: Axis, init: Init) -> jax.Array:
    """Return by how much rotary positions turn each pair of entries (Su et al. 2021, eq. 15), [L, pairs]."""
    live = init.length(head_size)
    pairs, places = (jnp.arange(num, dtype=live.dtype) for num in (head_size.size // 2, length))
    return places[:, None] * LONGEST_WAVE ** (-2 * pairs / live)


def _turned(x: jax.Array, angles: jax.Array) -> jax.Array:
    """Return x [B, L, heads, head_size] with each pair of neighbours turned by an angle of its position [L, pairs]."""
    pairs = x.reshape(*x.shape[:-1], -1, 2)
    sine, cosine = jnp.sin(angles)[:, None], jnp.cos(angles)[:, None]
    first, second = pairs[..., 0], pairs[..., 1]
    turned = jnp.stack([first * cosine - second * sine, first * sine + second * cosine], axis=-1)
    return turned.reshape(x.shape)
