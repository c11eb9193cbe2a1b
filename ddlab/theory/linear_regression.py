"""Least squares and ridge regression on features with Gaussian entries, as in `ddlab.theory`."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ddlab.theory.numeric import Array, arrays, bisect


def ridgeless(g: ArrayLike, signal: ArrayLike, noise_variance: ArrayLike) -> Array:
    """Return the excess risk of least squares of least norm as n, p -> infinity with p / n -> g.

    Hastie, Montanari, Rosset, Tibshirani (2022), Theorem 1. Infinite at g = 1.
    """
    g, signal, noise_variance = arrays(g, signal, noise_variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        below = noise_variance * g / (1 - g)
        above = signal * (1 - 1 / g) + noise_variance / (g - 1)
    return np.where(g < 1, below, np.where(g > 1, above, np.inf))


def ridgeless_exact(p: ArrayLike, n: ArrayLike, signal: ArrayLike, noise_variance: ArrayLike) -> Array:
    """Return the expected excess risk of least squares of least norm for finite n and p.

    From the mean of an inverse Wishart matrix; infinite for n - 1 <= p <= n + 1.
    """
    p, n, signal, noise_variance = arrays(p, n, signal, noise_variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        below = noise_variance * p / (n - p - 1)
        above = signal * (1 - n / p) + noise_variance * n / (p - n - 1)
    return np.where(p <= n - 2, below, np.where(p >= n + 2, above, np.inf))


def ridge(g: ArrayLike, lam: ArrayLike, signal: ArrayLike, noise_variance: ArrayLike) -> Array:
    """Return the excess risk of ridge regression with penalty lam >= 0 as n, p -> infinity with p / n -> g.

    Hastie et al. (2022), Theorem 5 with the companion Stieltjes transform m of Marchenko and Pastur:
    R = s2 g {m - lam (1 - a lam) m'}, a = r2 / (s2 g). With g lam m^2 + (1 - g + lam) m = 1 and its derivative, m' =
    (g m^2 + m) / root, both parts are written without differences of near numbers, for lam = 0 too (infinite at g = 1).
    """
    g, lam, signal, noise_variance = arrays(g, lam, signal, noise_variance)
    root = np.sqrt((1 - g + lam) ** 2 + 4 * g * lam)
    above, below = root + lam + (g - 1), root + lam + (1 - g)
    with np.errstate(divide="ignore", invalid="ignore"):
        lam_m = np.where(g - 1 > lam, (root + (g - 1 - lam)) / (2 * g), 2 * lam / below)
        variance = np.where(g > 1, 2 * lam_m / above, 2 * (1 - g + g * lam_m) / below)  # m - lam m', times root
        risk = (noise_variance * g * variance + signal * lam_m * (g * lam_m + lam)) / root
    return np.where(root > 0, risk, np.inf)


def optimal_ridge(g: ArrayLike, signal: ArrayLike, noise_variance: ArrayLike) -> Array:
    """Return the penalty of least risk, lam* = s2 g / r2 (Nakkiran, Venkat, Kakade, Ma 2021; Dobriban, Wager 2018)."""
    g, signal, noise_variance = arrays(g, signal, noise_variance)
    return noise_variance * g / signal


def misspecified_exact(
    p: ArrayLike, n: ArrayLike, num_features: ArrayLike, signal: ArrayLike, noise_variance: ArrayLike
) -> Array:
    """Return the expected risk, noise included, of least squares of least norm on p of D features drawn at random.

    Belkin, Hsu, Xu (2020), Theorem 2.1 with ||beta||^2 = signal; exact for finite n, p and D; infinite for n - 1 <= p <= n + 1.
    """
    p, n, num_features, signal, noise_variance = arrays(p, n, num_features, signal, noise_variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        below = ((1 - p / num_features) * signal + noise_variance) * (1 + p / (n - p - 1))
        unlearned = 1 - n / num_features * (2 - (num_features - n - 1) / (p - n - 1))
        above = signal * unlearned + noise_variance * (1 + n / (p - n - 1))
    return np.where(p <= n - 2, below, np.where(p >= n + 2, above, np.inf))


def effective_ridge(eigenvalues: ArrayLike, n: float, lam: float) -> float:
    """Return kappa, the root of lam = kappa (1 - (1/n) sum_i l_i / (l_i + kappa)).

    Args:
        eigenvalues: l [p] of the covariance, positive.
        n: training examples.
        lam: penalty >= 0; with 0, kappa is 0 where p <= n.
    """
    (spectrum,) = arrays(eigenvalues)

    def penalty(kappa: Array) -> Array:
        return kappa * (1 - np.sum(spectrum / (spectrum + kappa)) / n)

    if lam == 0 and len(spectrum) <= n:
        return 0.0
    return float(bisect(lambda kappa: penalty(kappa) - lam, 0.0, lam + spectrum.sum() / n + spectrum.max()))


def ridge_covariance(eigenvalues: ArrayLike, coefficients: ArrayLike, n: float, lam: float, noise_variance: float) -> float:
    """Return the deterministic equivalent of the excess risk of ridge regression, ridgeless with lam = 0.

    With kappa as in `effective_ridge` and df2 = sum_i l_i^2 / (l_i + kappa)^2:
    R = (kappa^2 sum_i b_i^2 l_i / (l_i + kappa)^2 + s2 df2 / n) / (1 - df2 / n)
    (Hastie et al. 2022, Theorem 5; Bach 2024, Propositions 2 and 3). Infinite at p = n without penalty.

    Args:
        eigenvalues: l [p] of the covariance.
        coefficients: b [p] of the target in the eigenvectors.
        n: training examples.
        lam: penalty.
        noise_variance: s2.
    """
    spectrum, b = arrays(eigenvalues, coefficients)
    kappa = effective_ridge(spectrum, n, lam)
    df2 = np.sum((spectrum / (spectrum + kappa)) ** 2)
    if df2 >= n:
        return float("inf")
    bias = kappa**2 * np.sum(b**2 * spectrum / (spectrum + kappa) ** 2)
    return float((bias + noise_variance * df2 / n) / (1 - df2 / n))
