"""Linear regression by gradient flow, stopped after some time."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import exprel

from ddlab.theory.numeric import Array, in_blocks, marchenko_pastur


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

    def risk(t: Array, alpha: Array, signal: Array, noise_variance: Array, initial: Array) -> Array:
        eigenvalues, weights = marchenko_pastur(1 / alpha)
        time = alpha[..., None] * t[..., None]
        decay = np.exp(-eigenvalues * time)
        forgotten = (signal + initial) * (weights * decay**2).sum(-1)
        # (1 - exp(-l t))^2 / l, for l = 0 too.
        overfitted = noise_variance * (weights * (1 - decay) * t[..., None] * exprel(-eigenvalues * time)).sum(-1)
        return forgotten + overfitted + noise_variance

    return in_blocks(risk, t, alpha, signal, noise_variance, initial)
