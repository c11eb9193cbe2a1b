"""Closed forms of the papers for models that are linear in their parameters, NumPy only.

Notation: n training examples, p features, g = p / n, `signal` r2 = ||beta||^2, `noise_variance` s2. Estimators minimise
||y - X b||^2 / n + lam ||b||^2, so that b = (X'X + n lam I)^-1 X'y; lam -> 0 gives the solution of least norm. Risks are
expected squared errors on a fresh example; *excess* risk leaves the noise of that example out. All functions broadcast over
arrays and return float64.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

HALVINGS = 200
QUADRATURE_NODES = 4000

# E[sigma(G)^2] - E[sigma(G)]^2 and E[G sigma(G)]^2 for a standard Gaussian G.
MOMENTS = {
    "relu": (0.5 - 1 / (2 * np.pi), 0.25),
    "erf": (2 / np.pi * np.arcsin(2 / 3), 4 / (3 * np.pi)),
}


# --- linear regression, isotropic Gaussian features --------------------------------------------------------------------


def ridgeless(g: ArrayLike, signal: ArrayLike, noise_variance: ArrayLike) -> Array:
    """Return the excess risk of least squares of least norm as n, p -> infinity with p / n -> g.

    Hastie, Montanari, Rosset, Tibshirani (2022), Theorem 1. Infinite at g = 1.
    """
    g, signal, noise_variance = _arrays(g, signal, noise_variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        below = noise_variance * g / (1 - g)
        above = signal * (1 - 1 / g) + noise_variance / (g - 1)
    return np.where(g < 1, below, np.where(g > 1, above, np.inf))


def ridgeless_exact(p: ArrayLike, n: ArrayLike, signal: ArrayLike, noise_variance: ArrayLike) -> Array:
    """Return the expected excess risk of least squares of least norm for finite n and p.

    From the mean of an inverse Wishart matrix; infinite for n - 1 <= p <= n + 1.
    """
    p, n, signal, noise_variance = _arrays(p, n, signal, noise_variance)
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
    g, lam, signal, noise_variance = _arrays(g, lam, signal, noise_variance)
    root = np.sqrt((1 - g + lam) ** 2 + 4 * g * lam)
    above, below = root + lam + (g - 1), root + lam + (1 - g)
    with np.errstate(divide="ignore", invalid="ignore"):
        lam_m = np.where(g - 1 > lam, (root + (g - 1 - lam)) / (2 * g), 2 * lam / below)
        variance = np.where(g > 1, 2 * lam_m / above, 2 * (1 - g + g * lam_m) / below)  # m - lam m', times root
        risk = (noise_variance * g * variance + signal * lam_m * (g * lam_m + lam)) / root
    return np.where(root > 0, risk, np.inf)


def optimal_ridge(g: ArrayLike, signal: ArrayLike, noise_variance: ArrayLike) -> Array:
    """Return the penalty of least risk, lam* = s2 g / r2 (Nakkiran, Venkat, Kakade, Ma 2021; Dobriban, Wager 2018)."""
    g, signal, noise_variance = _arrays(g, signal, noise_variance)
    return noise_variance * g / signal


def misspecified_exact(
    p: ArrayLike, n: ArrayLike, num_features: ArrayLike, signal: ArrayLike, noise_variance: ArrayLike
) -> Array:
    """Return the expected risk, noise included, of least squares of least norm on p of D features drawn at random.

    Belkin, Hsu, Xu (2020), Theorem 2.1 with ||beta||^2 = signal; exact for finite n, p and D; infinite for n - 1 <= p <= n + 1.
    """
    p, n, num_features, signal, noise_variance = _arrays(p, n, num_features, signal, noise_variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        below = ((1 - p / num_features) * signal + noise_variance) * (1 + p / (n - p - 1))
        unlearned = 1 - n / num_features * (2 - (num_features - n - 1) / (p - n - 1))
        above = signal * unlearned + noise_variance * (1 + n / (p - n - 1))
    return np.where(p <= n - 2, below, np.where(p >= n + 2, above, np.inf))


# --- linear regression, general covariance -----------------------------------------------------------------------------


def effective_ridge(eigenvalues: ArrayLike, n: float, lam: float) -> float:
    """Return kappa, the root of lam = kappa (1 - (1/n) sum_i l_i / (l_i + kappa)).

    Args:
        eigenvalues: l [p] of the covariance, positive.
        n: training examples.
        lam: penalty >= 0; with 0, kappa is 0 where p <= n.
    """
    (spectrum,) = _arrays(eigenvalues)

    def penalty(kappa: Array) -> Array:
        return kappa * (1 - np.sum(spectrum / (spectrum + kappa)) / n)

    if lam == 0 and len(spectrum) <= n:
        return 0.0
    return float(_bisect(lambda kappa: penalty(kappa) - lam, 0.0, lam + spectrum.sum() / n + spectrum.max()))


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
    spectrum, b = _arrays(eigenvalues, coefficients)
    kappa = effective_ridge(spectrum, n, lam)
    df2 = np.sum((spectrum / (spectrum + kappa)) ** 2)
    if df2 >= n:
        return float("inf")
    bias = kappa**2 * np.sum(b**2 * spectrum / (spectrum + kappa) ** 2)
    return float((bias + noise_variance * df2 / n) / (1 - df2 / n))


# --- random features ---------------------------------------------------------------------------------------------------


def random_features(
    psi1: ArrayLike,
    psi2: ArrayLike,
    lam: ArrayLike,
    signal: ArrayLike,
    noise_variance: ArrayLike,
    activation: str = "relu",
) -> Array:
    """Return the excess risk of ridge regression on N random features sigma(<w, x> / sqrt(d)) of a linear target.

    Mei, Montanari (2022), Theorem 2, as N / d -> psi1 and n / d -> psi2, inputs and weights uniform on the sphere of radius
    sqrt(d). Their fixed point (nu1, nu2) is purely imaginary at the point where it is needed; with x = -nu1 nu2 > 0 and
    h(x) = x (1 + zeta^2 / (1 + zeta^2 x)) it is the root of psi1 psi2 (lam / mustar^2) x = (psi1 - h)(psi2 - h) below
    h = min(psi1, psi2). Infinite at psi1 = psi2 without penalty.

    Args:
        psi1: features per input dimension.
        psi2: training examples per input dimension.
        lam: penalty of (1/n) ||y - Z a||^2 + (N / d) lam ||a||^2, at least 0.
        signal: ||beta||^2 of the target <beta, x>.
        noise_variance: of the training targets.
        activation: "relu" or "erf".
    """
    psi1, psi2, lam, signal, noise_variance = np.broadcast_arrays(*_arrays(psi1, psi2, lam, signal, noise_variance))
    variance, linear = MOMENTS[activation]
    star = variance - linear
    z2 = linear / star
    strength = psi1 * psi2 * lam / star

    def h(x: Array) -> Array:
        return x * (1 + z2 / (1 + z2 * x))

    # h(x) >= x, so the root lies below min(psi1, psi2).
    x = _bisect(
        lambda x: strength * x - np.where(h(x) < np.minimum(psi1, psi2), (psi1 - h(x)) * (psi2 - h(x)), -1.0),
        0.0,
        np.minimum(psi1, psi2),
    )
    e0, e1, e2 = _random_feature_polynomials(psi1, psi2, z2, -x)
    with np.errstate(divide="ignore", invalid="ignore"):
        risk = signal * e1 / e0 + noise_variance * e2 / e0
    return np.where((lam == 0) & (psi1 == psi2), np.inf, risk)


def _random_feature_polynomials(psi1: Array, psi2: Array, z2: float, chi: Array) -> tuple[Array, Array, Array]:
    """Return E0, E1 and E2 of Mei and Montanari (2022), Definition 1; chi = nu1 nu2 < 0."""
    z4, z6 = z2**2, z2**3
    shared = -(chi**5) * z6 + 3 * chi**4 * z4
    e0 = (
        shared
        + (psi1 * psi2 - psi2 - psi1 + 1) * chi**3 * z6
        - 2 * chi**3 * z4
        - 3 * chi**3 * z2
        + (psi1 + psi2 - 3 * psi1 * psi2 + 1) * chi**2 * z4
        + 2 * chi**2 * z2
        + chi**2
        + 3 * psi1 * psi2 * chi * z2
        - psi1 * psi2
    )
    e1 = psi2 * chi**3 * z4 - psi2 * chi**2 * z2 + psi1 * psi2 * chi * z2 - psi1 * psi2
    e2 = (
        chi**5 * z6
        - 3 * chi**4 * z4
        + (psi1 - 1) * chi**3 * z6
        + 2 * chi**3 * z4
        + 3 * chi**3 * z2
        + (-psi1 - 1) * chi**2 * z4
        - 2 * chi**2 * z2
        - chi**2
    )
    return e0, e1, e2


# --- training time -----------------------------------------------------------------------------------------------------


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
    t, alpha, signal, noise_variance, initial = np.broadcast_arrays(*_arrays(t, alpha, signal, noise_variance, initial))
    angle = (np.arange(QUADRATURE_NODES) + 0.5) * np.pi / QUADRATURE_NODES
    root = np.sqrt(alpha)[..., None]
    spectrum = 1 + root**2 + 2 * root * np.cos(angle)
    weight = 2 * root**2 * np.sin(angle) ** 2 / (np.pi * spectrum) * (np.pi / QUADRATURE_NODES)
    decay = np.exp(-spectrum * t[..., None])
    never = np.maximum(0.0, 1 - alpha)  # eigenvalues that are zero
    forgotten = (signal + initial) * ((weight * decay**2).sum(-1) + never)
    overfitted = noise_variance * (weight * (1 - decay) ** 2 / spectrum).sum(-1)
    return forgotten + overfitted + noise_variance


# --- helpers -----------------------------------------------------------------------------------------------------------


def _arrays(*values: ArrayLike) -> tuple[Array, ...]:
    return tuple(np.asarray(value, float) for value in values)


def _bisect(increasing: Callable[[Array], Array], low: ArrayLike, high: ArrayLike) -> Array:
    """Return the roots of an increasing function, element by element."""
    low, high = np.broadcast_arrays(*_arrays(low, high))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        above = increasing(middle) > 0
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return (low + high) / 2
