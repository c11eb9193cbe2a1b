"""The linearised limit of a network: gradient flow of its outputs under a fixed kernel."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import exprel

from ddlab.theory.numeric import Array, arrays


class Predictions(NamedTuple):
    """Outputs at T times.

    Attributes:
        train: [T, n, ...].
        test: [T, m, ...].
    """

    train: Array
    test: Array


def kernel_flow(
    t: ArrayLike,
    train_kernel: ArrayLike,
    cross_kernel: ArrayLike,
    targets: ArrayLike,
    train_start: ArrayLike,
    test_start: ArrayLike,
) -> Predictions:
    """Return the outputs of gradient flow on the mean squared error of a network that is linear in its parameters.

    Jacot, Gabriel, Hongler (2018), Sec. 5: df/dt = -(2 / Y) K(x, X) (f(X) - y) with Y targets in all, in eigenvectors of K(X, X).
    With the tangent kernel at the start it is the limit of a network whose outputs are scaled up without bound (Kumar,
    Bordelon, Gershman, Pehlevan 2024).

    Args:
        t: times [T], learning rate x steps.
        train_kernel: K [n, n] of the training examples, positive semidefinite.
        cross_kernel: [m, n] of test and training examples.
        targets: y [n, ...]; outputs of one example share the kernel.
        train_start: outputs [n, ...] at t = 0.
        test_start: [m, ...].
    """
    t, train_kernel, cross_kernel, targets, train_start, test_start = arrays(
        t, train_kernel, cross_kernel, targets, train_start, test_start
    )
    eigenvalues, vectors = np.linalg.eigh(train_kernel)
    time = 2 * t[:, None] / targets.size
    moved = time * exprel(-np.maximum(eigenvalues, 0) * time)  # (1 - exp(-l t)) / l
    residual = np.tensordot(vectors.T, targets - train_start, 1)
    change = np.einsum("ir,tr,r...->ti...", vectors, moved, residual)
    train = train_start + np.einsum("ij,tj...->ti...", train_kernel, change)
    return Predictions(train, test_start + np.einsum("ij,tj...->ti...", cross_kernel, change))
