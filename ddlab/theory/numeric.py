"""Numerical helpers of the closed forms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

HALVINGS = 200
QUADRATURE_NODES = 4000

# Elements that are computed at once, with an integral for each.
BLOCK = 256


def arrays(*values: ArrayLike) -> tuple[Array, ...]:
    """Return values as arrays of float64."""
    return tuple(np.asarray(value, float) for value in values)


def in_blocks(function: Callable[..., Array], *values: ArrayLike) -> Array:
    """Return a function of the broadcast values, element by element, where what it makes of an element on the way is large.

    Args:
        function: of as many arrays [k], to [k].
        values: its arguments.
    """
    broadcast = np.broadcast_arrays(*arrays(*values))
    flat = [value.ravel() for value in broadcast]
    blocks = [function(*(value[start : start + BLOCK] for value in flat)) for start in range(0, flat[0].size, BLOCK)]
    return np.concatenate([np.zeros(0), *blocks]).reshape(broadcast[0].shape)


def bisect(increasing: Callable[[Array], Array], low: ArrayLike, high: ArrayLike) -> Array:
    """Return the roots of an increasing function, element by element."""
    low, high = np.broadcast_arrays(*arrays(low, high))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        above = increasing(middle) > 0
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return (low + high) / 2


def marchenko_pastur(ratio: ArrayLike) -> tuple[Array, Array]:
    """Return nodes and weights [..., r] of averages over the eigenvalues of X'X / n: the nodes ascend, the last is zero.

    Marchenko, Pastur (1967): a share max(0, 1 - 1 / ratio) is zero, and the others have the density
    sqrt((l+ - v)(v - l-)) / (2 pi ratio v) between l+- = (1 +- sqrt(ratio))^2: by the midpoint rule in the angle th of
    v = 1 + ratio - 2 sqrt(ratio) cos th. What falls off within less than 1e-6 sqrt(ratio) above l- lies between the nodes.

    Args:
        ratio: features, standard Gaussian, per example.
    """
    (ratio,) = arrays(ratio)
    root = np.sqrt(ratio)[..., None]
    angle = (np.arange(QUADRATURE_NODES) + 0.5) * np.pi / QUADRATURE_NODES
    nodes = (1 - root) ** 2 + 4 * root * np.sin(angle / 2) ** 2
    weights = 2 * np.sin(angle) ** 2 / (QUADRATURE_NODES * nodes)
    zero = np.maximum(0.0, 1 - 1 / ratio)[..., None]
    return np.concatenate([nodes, np.zeros_like(zero)], -1), np.concatenate([weights, zero], -1)
