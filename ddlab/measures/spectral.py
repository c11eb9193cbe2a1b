"""Decompositions of matrices of trials that lie side by side."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.custom_batching import sequential_vmap


# One matrix at a time: several are shared out among the threads of the CPU by a kernel that waits for them, for ever where
# all devices do so at once.
@sequential_vmap
def eigenvectors(matrix: jax.Array) -> jax.Array:
    """Return the eigenvectors of a symmetric matrix [n, n], its columns, by ascending eigenvalue."""
    return jnp.linalg.eigh(matrix)[1]


@sequential_vmap
def singular_values(matrix: jax.Array) -> jax.Array:
    """Return the singular values of a matrix [n, m], descending."""
    return jnp.linalg.svd(matrix, compute_uv=False)
