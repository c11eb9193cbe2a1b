"""Ridge regression on random features, as in `ddlab.theory`."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ddlab.theory.numeric import Array, arrays, bisect

# E[sigma(G)^2] - E[sigma(G)]^2 and E[G sigma(G)]^2 for a standard Gaussian G.
MOMENTS = {
    "relu": (0.5 - 1 / (2 * np.pi), 0.25),
    "erf": (2 / np.pi * np.arcsin(2 / 3), 4 / (3 * np.pi)),
}


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
    psi1, psi2, lam, signal, noise_variance = np.broadcast_arrays(*arrays(psi1, psi2, lam, signal, noise_variance))
    variance, linear = MOMENTS[activation]
    star = variance - linear
    z2 = linear / star
    strength = psi1 * psi2 * lam / star

    def h(x: Array) -> Array:
        return x * (1 + z2 / (1 + z2 * x))

    # h(x) >= x, so the root lies below min(psi1, psi2).
    x = bisect(
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
