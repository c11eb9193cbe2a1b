"""Inputs as real feature vectors: real inputs flattened, integer tokens one-hot encoded and concatenated."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp

from ddlab.data import Spec


def num_features(spec: Spec) -> int:
    """Return the length of the feature vector of one input."""
    return math.prod(spec.input_shape) * (spec.alphabet or 1)


def as_features(x: jax.Array, spec: Spec, dtype: Any) -> jax.Array:
    """Return inputs [B, *input_shape] as features [B, num_features]."""
    if spec.alphabet is not None:
        x = jax.nn.one_hot(x, spec.alphabet, dtype=dtype)
    return jnp.reshape(x, (x.shape[0], -1)).astype(dtype)
