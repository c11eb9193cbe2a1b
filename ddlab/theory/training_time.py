"""Linear regression by gradient flow, stopped after some time."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ddlab.theory.numeric import Array, arrays, marchenko_pastur


def training_time(
    t: ArrayLike, alpha: ArrayLike, signal: ArrayLike, noise_variance: ArrayLike, initial: ArrayLike = 0.0
) -> Array:
    """Return the risk, noise included, of a linear student after gradient flow for a time t.

    Advani, Saxe, Sompolinsky (2020), Eq. 12: P = alpha N examples with N inputs of variance 1/N, in the high-dimensional limit.
    An eigenvalue l of X'X, Marchenko-Pastur distributed, is learned as 1 - exp(-l t).

    Args:
        t: time, in units of the time constant of the paper.
        alpha: training examples per input.
        signal: variance of a teacher's weight, sigma_w^2 (their SNR is signal / noise_variance).
        noise_variance: sigma_eps^2.
        initial: variance of a student's initial weight (their INR is initial / signal).
    """
    t, alpha, signal, noise_variance, initial = arrays(t, alpha, signal, noise_variance, initial)
    eigenvalues, weights = marchenko_pastur(1 / alpha)
    spectrum = alpha[..., None] * eigenvalues
    decay = np.exp(-spectrum * t[..., None])
    never = np.maximum(0.0, 1 - alpha)  # eigenvalues that are zero
    forgotten = (signal + initial) * ((weights * decay**2).sum(-1) + never)
    overfitted = noise_variance * (weights * (1 - decay) ** 2 / spectrum).sum(-1)
    return forgotten + overfitted + noise_variance
