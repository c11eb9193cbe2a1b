"""The decoder transformer of the grokking papers, which answers at the last position of its input."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from ddlab.config import Mark, leaf
from ddlab.data import Spec
from ddlab.errors import ConfigError
from ddlab.losses import Outputs
from ddlab.models.base import Model
from ddlab.models.init import LAYERS, Axis, Init
from ddlab.models.mlp import ACTIVATIONS
from ddlab.models.products import lookup, matmul

NORMS, KINDS = ("none", "pre", "post"), ("layer", "rms")
POSITIONS = ("learned", "sinusoidal", "rotary", "none")
INITIALIZERS = ("nanda", "torch", "standard")
BIASES = ("none", "mlp", "all")

# Vaswani et al. 2017, section 3.5; Su et al. 2021, section 3.2.2.
LONGEST_WAVE = 10_000.0
NORM_EPSILON = 1e-5


@dataclass(frozen=True)
class Transformer(Model):
    """Tokens -> embedding -> `depth` blocks of causal attention and MLP -> outputs at the last position (Vaswani et al. 2017).

    A block is x + attention(x), then x + mlp(x); `norm` says whether what they take (pre), or what they give (post), is
    normalised. What the last position does not read is not computed: the last block has one query, and the keys and values of the
    first are made once for each token and position, not for each example.

    Initial weights: `nanda` (Nanda et al. 2023): N(0, 1 / width), the unembedding N(0, 1 / K); `torch`: embeddings N(0, 1),
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
    positions: str = leaf("how positions are told apart", choices=POSITIONS)
    attention: float = leaf(
        "share of the softmax in the attention; the rest is uniform (Zhong et al. 2023)", Mark.TRACED, low=0, high=1
    )
    bias: str = leaf("which linear layers have biases", choices=BIASES)
    tied: bool = leaf("the unembedding is the transposed embedding")
    initializer: str = leaf("convention of the initial weights", choices=INITIALIZERS)
    init_scale: float = leaf("multiplies every initial weight and bias", Mark.TRACED, above=0)

    def check(self) -> None:
        if self.positions == "rotary" and self.head_size % 2:
            raise ConfigError(f"model.head_size={self.head_size}: must be even with model.positions=rotary, which turns pairs")

    def make(self, spec: Spec, init: Init) -> nnx.Module:
        if spec.inputs.size is None or len(spec.inputs.shape) != 1:
            raise ConfigError("model: a transformer needs inputs that are a sequence of tokens, such as those of data=modular")
        if self.tied and spec.num_outputs > spec.inputs.size:
            raise ConfigError(f"model.tied=true: {spec.num_outputs} outputs need as many tokens, not {spec.inputs.size}")
        return _Network(self, spec, init)


class _Drawn:
    """Draws the weights of a component in its convention."""

    def __init__(self, model: Transformer, init: Init, width: Axis):
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


class _Norm(nnx.Module):
    """Normalisation over the live entries of the residual stream, with a gain and, of a layer norm, a shift for each."""

    def __init__(self, kind: str, axes: tuple[Axis, ...], init: Init):
        width = axes[-1]
        self.live, self.length = init.constant(init.live(width)), init.constant(init.length(width))
        self.gain = init.full(axes, 1.0)
        self.shift = init.zeros(axes) if kind == "layer" else None

    def __call__(self, x: jax.Array, layer: int | None = None) -> jax.Array:
        if self.shift is not None:
            # Padded entries are zero, and must not be drawn from it by the mean: no gradient goes to them either.
            mean = jnp.sum(x * self.live[...], axis=-1, keepdims=True) / self.length[...]
            x = (x - mean) * self.live[...]
        variance = jnp.sum(jnp.square(x), axis=-1, keepdims=True) / self.length[...]
        x = x * jax.lax.rsqrt(variance + NORM_EPSILON) * _of_layer(self.gain, layer)
        return x if self.shift is None else x + _of_layer(self.shift, layer)


class _Linear(nnx.Module):
    """A linear layer of every block, of the last axes in `num_inputs` of x; weights [layers, *inputs, *outputs]."""

    def __init__(self, weight: nnx.Param, bias: nnx.Param | None, num_inputs: int = 1):
        self.weight, self.bias, self.num_inputs = weight, bias, num_inputs

    def __call__(self, x: jax.Array, layer: int, *, biased: bool = True) -> jax.Array:
        weight = self.weight[...][layer]
        fan_out, inputs = weight.shape[self.num_inputs :], math.prod(weight.shape[: self.num_inputs])
        rows = x.shape[: x.ndim - self.num_inputs]
        z = matmul(x.reshape(-1, inputs), weight.reshape(inputs, -1)).reshape(*rows, *fan_out)
        return z if self.bias is None or not biased else z + self.bias[...][layer]


def _of_layer(parameter: nnx.Param, layer: int | None) -> jax.Array:
    return parameter[...] if layer is None else parameter[...][layer]


class _Network(nnx.Module):
    def __init__(self, model: Transformer, spec: Spec, init: Init):
        (length,) = spec.inputs.shape
        width, layers = init.axis("width", model.width), init.axis(LAYERS, model.depth)
        heads, head_size = init.axis("heads", model.heads), init.axis("head_size", model.head_size)
        tokens, positions = init.axis("tokens", spec.inputs.size), init.axis("positions", length)
        outputs = init.axis("outputs", spec.num_outputs)
        drawn, all_biased = _Drawn(model, init, width), model.bias == "all"

        def linear(name: str, fan_in: tuple[Axis, ...], fan_out: tuple[Axis, ...], biased: bool) -> _Linear:
            weight = drawn.linear(name, (layers, *fan_in, *fan_out), fan_in)
            return _Linear(weight, drawn.bias(f"{name}.bias", (layers, *fan_out), fan_in) if biased else None, len(fan_in))

        self.embedding = drawn.embedding("embedding", (tokens, width))
        self.positions = drawn.embedding("positions", (positions, width)) if model.positions == "learned" else None
        self.waves = init.constant(_waves(length, width, init)) if model.positions == "sinusoidal" else None
        self.turns = init.constant(_angles(length, head_size, init)) if model.positions == "rotary" else None
        self.query, self.key, self.value = (
            linear(name, (width,), (heads, head_size), all_biased) for name in ("query", "key", "value")
        )
        self.attended = linear("attended", (heads, head_size), (width,), all_biased)
        self.scale = init.constant(1 / jnp.sqrt(init.length(head_size)))
        self.attention = init.constant(model.attention)
        if model.hidden is None:
            self.hidden = self.gate = self.read = None
        else:
            hidden, is_gated, biased = init.axis("hidden", model.hidden), model.activation == "swiglu", model.bias != "none"
            self.hidden = linear("hidden", (width,), (hidden,), biased)
            self.gate = linear("gate", (width,), (hidden,), biased) if is_gated else None
            self.read = linear("read", (hidden,), (width,), biased)
        self.activation: Callable[[jax.Array], jax.Array] = ACTIVATIONS.get(model.activation, jax.nn.silu)
        norms = [] if model.norm == "none" else ["attention"] if model.hidden is None else ["attention", "mlp"]
        self.norms = nnx.Dict({name: _Norm(model.norm_kind, (layers, width), init) for name in norms})
        self.last_norm = _Norm(model.norm_kind, (width,), init) if model.norm == "pre" else None
        self.is_pre, self.num_layers = model.norm == "pre", layers.size
        self.live = init.constant(init.live(layers))
        self.unembedding = None if model.tied else drawn.unembedding("unembedding", (width, outputs))
        self.unembedding_bias = drawn.bias("unembedding.bias", (outputs,), (width,)) if all_biased else None
        self.num_outputs = spec.num_outputs

    def __call__(self, tokens: jax.Array) -> Outputs:
        length, last = tokens.shape[1], self.num_layers - 1
        stream = _Rows(self.embedding[...], tokens, self._added())
        read: _Rows | _Dense = self._normed(stream) if self.is_pre else stream
        x, neurons = stream.dense(length - 1 if last == 0 else 0), None
        for layer in range(self.num_layers):
            start = length - 1 if layer == last else 0
            if layer > 0:
                read, x = _Dense(self.norms["attention"](x, layer) if self.is_pre else x), x[:, start:]
            given = self._block(x, read, layer, start)
            if layer > 0:  # of a trial with fewer blocks than its pack, the others do nothing
                before = (x, None if neurons is None else neurons[:, start:])
                given = jax.tree.map(partial(jnp.where, self.live[...][layer] > 0), given, before)
            x, neurons = given
        x = x[:, -1] if self.last_norm is None else self.last_norm(x[:, -1])
        weight = self.embedding[...][: self.num_outputs].T if self.unembedding is None else self.unembedding[...]
        outputs = matmul(x, weight)
        if self.unembedding_bias is not None:
            outputs = outputs + self.unembedding_bias[...]
        return Outputs(outputs, activations={} if neurons is None else {"neurons": neurons[:, -1]})

    def _added(self) -> jax.Array | None:
        """Return what positions add to the embedding, [L, width]; None: nothing."""
        return self.positions[...] if self.positions is not None else None if self.waves is None else self.waves[...]

    def _normed(self, rows: _Rows) -> _Rows:
        """Return normalised rows, of each token at each position."""
        if rows.added is None:
            return _Rows(self.norms["attention"](rows.table, 0), rows.wanted, None)
        table = rows.added[:, None] + rows.table
        first = len(rows.table) * jnp.arange(len(table), dtype=jnp.int32)
        normed = self.norms["attention"](table, 0)
        return _Rows(normed.reshape(-1, table.shape[-1]), rows.wanted + first, None)

    def _block(self, x: jax.Array, read: _Rows | _Dense, layer: int, start: int) -> tuple[jax.Array, jax.Array | None]:
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

    def _attention(self, read: _Rows | _Dense, layer: int, start: int) -> jax.Array:
        """Return what the positions from `start` on take from those before them and their own, [B, Q, width]."""
        queries, keys = read.through(self.query, layer, start), read.through(self.key, layer, 0)
        values = read.through(self.value, layer, 0)
        if self.turns is not None:
            queries, keys = _turned(queries, self.turns[...][start:]), _turned(keys, self.turns[...])
        scores = self.scale[...] * jnp.einsum("bqhe,bkhe->bhqk", queries, keys)
        length = keys.shape[1]
        seen = jnp.arange(length) <= jnp.arange(start, length)[:, None]
        chosen = jax.nn.softmax(jnp.where(seen, scores, -jnp.inf))
        uniform, share = seen.astype(chosen.dtype), self.attention[...]
        uniform = uniform / jnp.sum(uniform, axis=1, keepdims=True)
        weights = share * chosen + (1 - share) * uniform
        return self.attended(jnp.einsum("bhqk,bkhe->bqhe", weights, values), layer)


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

    def through(self, linear: _Linear, layer: int, start: int) -> jax.Array:
        """Return it after a linear layer, at the positions from `start` on, [B, L - start, *fan_out]."""
        found = _taken(linear(self.table, layer), self.wanted[:, start:])
        return found if self.added is None else found + linear(self.added[start:], layer, biased=False)


class _Dense(NamedTuple):
    """The residual stream [B, L, width] between blocks."""

    x: jax.Array

    def through(self, linear: _Linear, layer: int, start: int) -> jax.Array:
        return linear(self.x[:, start:], layer)


def _taken(table: jax.Array, index: jax.Array) -> jax.Array:
    """Return the rows of a table [R, ...] that an index [B, L] names, [B, L, ...]."""
    return lookup(table.reshape(len(table), -1), index.ravel()).reshape(*index.shape, *table.shape[1:])


def _waves(length: int, width: Axis, init: Init) -> jax.Array:
    """Return sinusoidal positions [L, width] (Vaswani et al. 2017, section 3.5), zero beyond the live entries."""
    live = init.length(width)
    entries, places = (jnp.arange(num, dtype=live.dtype) for num in (width.size, length))
    angles = places[:, None] * LONGEST_WAVE ** (-(entries - entries % 2) / live)
    return jnp.where(entries % 2 == 0, jnp.sin(angles), jnp.cos(angles)) * init.live(width)


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
