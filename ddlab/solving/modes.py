"""Singular value decompositions of nested features, from narrow to wide.

Features at a width are columns [N, p] of the training examples, the same for all widths, times a scale [p], which is one factor
up to the width and 0 beyond. What is made of the columns alone is made once for all widths.

Shapes: N training examples, p columns (padded), r = min(N, p) modes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

# The condition up to which singular values are taken from the Gram matrix.
GRAM_CONDITION = 1e4

# Columns whose inner products are taken at once.
BLOCK = 64


class _Factors(NamedTuple):
    left: jax.Array
    values: jax.Array
    direct: jax.Array
    dual: jax.Array | None


class Modes(NamedTuple):
    """The singular value decomposition X = left diag(values) right' of training features, X = columns * scale.

    Attributes:
        left: [N, r].
        values: [r], descending; exact zeros beyond the rank.
        direct: [p, r] right singular vectors, or zeros where `dual` has them.
        dual: [N, r] right singular vectors as X' dual, which is cheaper for N < p, or zeros; None for N >= p.
        columns: [N, p].
        scale: [p].
    """

    left: jax.Array
    values: jax.Array
    direct: jax.Array
    dual: jax.Array | None
    columns: jax.Array
    scale: jax.Array

    def along_right(self, components: jax.Array) -> jax.Array:
        """Return right @ components, [p, K] of [r, K]; what it is where a value is 0 has no meaning."""
        if self.dual is None:
            return self.direct @ components
        return self.direct @ components + self.scale[:, None] * (self.columns.T @ (self.dual @ components))


# (carry, width [], scale [p]) -> (carry, modes, or their factors, at that width).
Step = Callable[[Any, jax.Array, jax.Array], tuple[Any, Modes]]
Widen = Callable[[Any, jax.Array, jax.Array], tuple[Any, _Factors]]


def nested(columns: jax.Array) -> tuple[Any, Step]:
    """Return the carry to begin with and the step to the next width, for `jax.lax.scan`; no width may be less than that before.

    A step takes the modes from the eigenvectors of the smaller Gram matrix. That is the fastest way, but squaring costs digits:
    where the condition is above GRAM_CONDITION, it decomposes the features themselves. So the relative error of a singular value
    is of the order of eps condition^2 = 1e-8 at most, or eps condition; those below max(N, p) eps of the largest count as zero.
    Batched by `jax.vmap`, both ways are computed.

    Args:
        columns: float64 [N, p].
    """
    num_train, num_columns = columns.shape
    begin, widen = (_of_examples if num_train < num_columns else _of_columns)(columns)

    def step(carry: Any, width: jax.Array, scale: jax.Array) -> tuple[Any, Modes]:
        carry, factors = widen(carry, width, scale)
        least = jnp.take(factors.values, jnp.minimum(num_train, width) - 1)
        is_precise = GRAM_CONDITION * least > factors.values[0]
        factors = jax.lax.cond(is_precise, lambda: factors, lambda: _decomposed(columns, width, scale))
        return carry, Modes(factors.left, factors.values, factors.direct, factors.dual, columns, scale)

    return begin, step


def inverse(values: jax.Array) -> jax.Array:
    """Return 1 / values, 0 where a value is 0."""
    return jnp.where(values > 0, 1 / jnp.where(values > 0, values, 1), 0)


def _of_examples(columns: jax.Array) -> tuple[Any, Widen]:
    """Fewer examples than columns: modes of the inner products of examples, [N, N], which grow by the new columns."""
    num_train, num_columns = columns.shape
    blocks = jnp.pad(columns, ((0, 0), (0, -num_columns % BLOCK)))

    def widen(carry: Any, width: jax.Array, scale: jax.Array) -> tuple[Any, _Factors]:
        products, before = carry

        def add(block: jax.Array, products: jax.Array) -> jax.Array:
            index = block * BLOCK + jnp.arange(BLOCK, dtype=jnp.int32)
            new = jax.lax.dynamic_slice_in_dim(blocks, block * BLOCK, BLOCK, axis=1)
            new = jnp.where((before <= index) & (index < width), new, 0)
            return products + new @ new.T

        products = jax.lax.fori_loop(before // BLOCK, (width + BLOCK - 1) // BLOCK, add, products)
        values, left = _eigen(jnp.square(scale[0]) * products, width)  # the first column is always live
        direct = jnp.zeros((num_columns, num_train), columns.dtype)
        return (products, width), _Factors(left, values, direct, left * inverse(values))

    return (jnp.zeros((num_train, num_train), columns.dtype), jnp.int32(0)), widen


def _of_columns(columns: jax.Array) -> tuple[Any, Widen]:
    """At least as many examples as columns: modes of the inner products of columns, [p, p]."""
    products = columns.T @ columns

    def widen(carry: Any, width: jax.Array, scale: jax.Array) -> tuple[Any, _Factors]:
        values, right = _eigen(scale[:, None] * products * scale, width)
        left = columns @ (scale[:, None] * right * inverse(values))
        return carry, _Factors(left, values, right, None)

    return (), widen


def _eigen(gram: jax.Array, width: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the square roots of the eigenvalues of a Gram matrix, descending, and its eigenvectors; zeros beyond the width."""
    eigenvalues, vectors = jnp.linalg.eigh(gram, symmetrize_input=False)
    values = jnp.sqrt(jnp.maximum(eigenvalues[::-1], 0))
    return jnp.where(jnp.arange(len(values), dtype=jnp.int32) < width, values, 0), vectors[:, ::-1]


def _decomposed(columns: jax.Array, width: jax.Array, scale: jax.Array) -> _Factors:
    left, values, right = jnp.linalg.svd(columns * scale, full_matrices=False)
    num_train, num_columns = columns.shape
    floor = jnp.maximum(num_train, width).astype(values.dtype) * jnp.finfo(values.dtype).eps * values[0]
    live = (jnp.arange(len(values), dtype=jnp.int32) < width) & (values > floor)
    dual = jnp.zeros_like(left) if num_train < num_columns else None
    return _Factors(left, jnp.where(live, values, 0), right.T, dual)
