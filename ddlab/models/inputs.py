"""Inputs as feature vectors: real inputs flattened, integer tokens one-hot encoded and concatenated."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from ddlab.data import Spec
from ddlab.models.products import lookup, matmul


def num_features(spec: Spec) -> int:
    """Return the length of the feature vector of one input."""
    return math.prod(spec.inputs.shape) * (spec.inputs.size or 1)


def project(x: jax.Array, weight: jax.Array, spec: Spec) -> jax.Array:
    """Return the features of inputs [B, *input_shape] times a weight [num_features, fan_out].

    What a token contributes depends on the token alone: it is a row of the weight, looked up instead of multiplied.
    """
    x = jnp.reshape(x, (x.shape[0], -1))
    if spec.inputs.size is None:
        return matmul(x.astype(weight.dtype), weight)
    tables = weight.reshape(x.shape[1], spec.inputs.size, -1)
    return sum((lookup(table, tokens) for table, tokens in zip(tables[1:], x.T[1:], strict=True)), lookup(tables[0], x[:, 0]))
