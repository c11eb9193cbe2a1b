"""The vision transformer (Dosovitskiy et al. 2021), of patches of images or of signals."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx

from ddlab.config import leaf
from ddlab.data import Spec
from ddlab.errors import ConfigError
from ddlab.losses import Outputs
from ddlab.models.attention import AttentionModel, Blocks, Dense, Drawn
from ddlab.models.convolutions import Convolution, Window, places_of, with_channels
from ddlab.models.init import Init
from ddlab.models.products import matmul


@dataclass(frozen=True)
class VisionTransformer(AttentionModel):
    """Inputs -> patches -> embedding -> `depth` blocks of attention and MLP -> mean over positions -> outputs.

    A patch is `patch` places along each dimension, with all their channels; its embedding is linear, with a bias. Positions have
    learned embeddings. The mean over positions in place of a class token: Beyer et al. 2022.
    """

    dimensions: int = leaf("1: signals [length] or [length, channels]; 2: images [rows, columns(, channels)]", low=1, high=2)
    patch: int = leaf("places of a patch along each dimension; must divide those of the inputs", low=1, high=1024)

    def make(self, spec: Spec, init: Init) -> nnx.Module:
        places, _ = places_of(spec, self.dimensions)
        if any(number % self.patch for number in places):
            raise ConfigError(f"model.patch={self.patch}: must divide the places of the inputs, {' x '.join(map(str, places))}")
        return _Network(self, spec, init)


class _Network(nnx.Module):
    def __init__(self, model: VisionTransformer, spec: Spec, init: Init):
        (places, num_channels), window = places_of(spec, model.dimensions), Window(model.dimensions, model.patch, model.patch)
        width, outputs = init.axis("width", model.width), init.axis("outputs", spec.num_outputs)
        inputs = init.axis("taps", window.taps), init.axis("channels", num_channels)
        drawn, num_patches = Drawn(model, init, width), 1
        for number in places:
            num_patches *= window.num_outputs(number)
        weight, bias = drawn.linear("patches", (*inputs, width), inputs), drawn.bias("patches.bias", (width,), inputs)
        self.patches, self.dimensions = Convolution(weight, bias, window), model.dimensions
        self.positions = drawn.embedding("positions", (init.axis("positions", num_patches), width))
        self.blocks = Blocks(model, drawn, width, init, is_causal=False)
        self.unembedding = drawn.unembedding("unembedding", (width, outputs))
        self.unembedding_bias = drawn.bias("unembedding.bias", (outputs,), (width,))

    def __call__(self, x: jax.Array) -> Outputs:
        patches = self.patches(with_channels(x, self.dimensions))
        stream = patches.reshape(len(x), -1, patches.shape[-1]) + self.positions[...]
        found, neurons = self.blocks(Dense(stream), 0)
        outputs = matmul(jnp.mean(found, axis=1), self.unembedding[...]) + self.unembedding_bias[...]
        return Outputs(outputs, activations={} if neurons is None else {"neurons": jnp.mean(neurons, axis=1)})
