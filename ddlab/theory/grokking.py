"""Delayed generalisation: exactly solvable models, laws for its time, and what memorising alone gives."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ddlab.theory.numeric import Array, arrays, bisect, in_blocks, marchenko_pastur


def levi_train_loss(t: ArrayLike, ratio: ArrayLike, distance: ArrayLike = 1.0) -> Array:
    """Return the training loss of a linear student of a linear teacher, without noise, after gradient flow for a time t.

    Levi, Beck, Bar-Sinai (2023): the integral over v of rho(v) v exp(-4 t v), rho of Marchenko and Pastur, as n, p -> infinity.

    Args:
        t: time on the mean squared error: learning rate x steps.
        ratio: p / n (their lambda).
        distance: E ||student - teacher||^2 at the start. Theirs is 1, with all weights N(0, 1 / (2 p)); a student that starts a
            times as large makes it (1 + a^2) / 2.
    """

    def loss(t: Array, ratio: Array, distance: Array) -> Array:
        eigenvalues, weights = marchenko_pastur(ratio)
        return distance * (weights * eigenvalues * np.exp(-4 * eigenvalues * t[..., None])).sum(-1)

    return in_blocks(loss, t, ratio, distance)


def levi_test_loss(t: ArrayLike, ratio: ArrayLike, distance: ArrayLike = 1.0) -> Array:
    """Return the test loss that belongs to `levi_train_loss`: the integral of rho(v) exp(-4 t v), and a plateau.

    Levi et al. (2023). With fewer examples than features, 1 - 1 / ratio of the distance is never learned: no example has a part
    of those directions.
    """

    def loss(t: Array, ratio: Array, distance: Array) -> Array:
        eigenvalues, weights = marchenko_pastur(ratio)
        return distance * (weights * np.exp(-4 * eigenvalues * t[..., None])).sum(-1)

    return in_blocks(loss, t, ratio, distance)


def levi_train_time(level: ArrayLike, ratio: ArrayLike, distance: ArrayLike = 1.0) -> Array:
    """Return the time at which `levi_train_loss` falls to a level; 0 where it begins there."""
    level, ratio, distance = arrays(level, ratio, distance)
    eigenvalues, weights = marchenko_pastur(ratio)
    return _time_to(level / distance, eigenvalues, weights * eigenvalues)


def levi_test_time(level: ArrayLike, ratio: ArrayLike, distance: ArrayLike = 1.0) -> Array:
    """Return the time at which `levi_test_loss` falls to a level; 0 where it begins there, infinite where it never does."""
    level, ratio, distance = arrays(level, ratio, distance)
    return _time_to(level / distance, *marchenko_pastur(ratio))


def levi_delay(level: ArrayLike, ratio: ArrayLike, distance: ArrayLike = 1.0) -> Array:
    """Return the time from that at which the training loss falls to a level until the test loss does.

    Levi et al. (2023) call an example learned where its squared error is below eps. At a loss L that is the share
    erf(sqrt(eps / (2 L))), 95.4 % at the level L = eps / 4.
    """
    return levi_test_time(level, ratio, distance) - levi_train_time(level, ratio, distance)


def levi_delay_limit(ratio: ArrayLike) -> Array:
    """Return the limit of `levi_delay` for low levels, as printed: log(1 / (1 - sqrt(ratio))) / (2 (1 - sqrt(ratio))^2).

    Levi et al. (2023), Eq. 12. At levels that are met in practice it is too long: at ratio 0.5 by a factor of 1.7 for the level
    2.5e-4, and still of 1.1 for 2.5e-13. Infinite from ratio 1 on.
    """
    (ratio,) = arrays(ratio)
    gap = np.maximum(0.0, 1 - np.sqrt(ratio))
    with np.errstate(divide="ignore"):
        return -np.log(gap) / (2 * gap**2)


def _time_to(level: Array, rates: Array, weights: Array) -> Array:
    """Return when a sum of weights [..., r], decaying as exp(-4 rate t), falls to a level [...]; the last rate is 0."""
    left = level - weights[..., -1]
    is_reached = left > 0
    decaying = weights[..., :-1].sum(-1)
    latest = np.log(np.maximum(1.0, decaying / np.where(is_reached, left, decaying))) / (4 * rates[..., 0])
    found = bisect(lambda t: level - (weights * np.exp(-4 * rates * t[..., None])).sum(-1), 0.0, latest)
    return np.where(is_reached, found, np.inf)


def ridge_grokking_train_loss(
    t: ArrayLike, lam: ArrayLike, eigenvalues: ArrayLike, variance: ArrayLike = 1.0, counts: ArrayLike = 1.0
) -> Array:
    """Return the expected training loss ||X b||^2 / n of ridge regression on targets that are all zero.

    Xu, Vardi, Safran (2026): from weights N(0, variance), gradient flow for a time t on ||X b||^2 / (2 n) + lam ||b||^2 / 2
    leaves variance sum_i s_i exp(-2 (s_i + lam) t).

    Args:
        t: time, twice that of gradient flow on the mean squared error.
        lam: penalty.
        eigenvalues: s [..., r] of X'X / n.
        variance: of an initial weight (their nu^2).
        counts: [..., r] how often each eigenvalue occurs, any number >= 0.
    """
    t, lam, eigenvalues, variance, counts = arrays(t, lam, eigenvalues, variance, counts)
    return variance * (counts * eigenvalues * np.exp(-2 * (eigenvalues + lam[..., None]) * t[..., None])).sum(-1)


def ridge_grokking_test_loss(
    t: ArrayLike, lam: ArrayLike, eigenvalues: ArrayLike, variance: ArrayLike = 1.0, counts: ArrayLike = 1.0
) -> Array:
    """Return the expected test loss ||b||^2 that belongs to `ridge_grokking_train_loss`, for features of covariance 1.

    Xu et al. (2026): variance sum_i exp(-2 (s_i + lam) t) over all p eigenvalues. Directions that no example has a part of, with
    eigenvalue zero, are forgotten by the penalty alone.
    """
    t, lam, eigenvalues, variance, counts = arrays(t, lam, eigenvalues, variance, counts)
    return variance * (counts * np.exp(-2 * (eigenvalues + lam[..., None]) * t[..., None])).sum(-1)


def ridge_grokking_test_time(
    level: ArrayLike, lam: ArrayLike, num_features: ArrayLike, num_examples: ArrayLike, variance: ArrayLike = 1.0
) -> Array:
    """Return the time at which `ridge_grokking_test_loss` falls to a level, log(variance (p - n) / level) / (2 lam).

    Xu et al. (2026), for p > n and a penalty so small that the training loss is zero long before.
    """
    level, lam, num_features, num_examples, variance = arrays(level, lam, num_features, num_examples, variance)
    return np.log(variance * (num_features - num_examples) / level) / (2 * lam)


def norm_decay_steps(memorised: ArrayLike, generalising: ArrayLike, learning_rate: ArrayLike, weight_decay: ArrayLike) -> Array:
    """Return the steps in which weight decay alone brings the norm of the weights from one to a smaller one.

    Liu, Michaud, Tegmark (2023): log(memorised / generalising) / (learning rate x weight decay), after the training loss is zero.

    Args:
        memorised: norm at which the training set is memorised.
        generalising: norm from which on the network generalises.
        learning_rate: of a step.
        weight_decay: decoupled, or of plain gradient descent.
    """
    memorised, generalising, rate = arrays(memorised, generalising, np.multiply(learning_rate, weight_decay))
    return np.log(memorised / generalising) / rate


def kernel_regime_time(init_scale: ArrayLike, lam: ArrayLike) -> Array:
    """Return the time at which a homogeneous network leaves the solution of its kernel, log(a) / lam.

    Lyu, Jin, Li, Du, Lee, Hu (2023): gradient flow on a loss + lam ||weights||^2 / 2 from weights a times as large as ones of
    order one; up to (1 - c) of that time, for any c > 0, it is where the kernel at the start leads, beyond (1 + c) no longer.

    Args:
        init_scale: a, large.
        lam: penalty, small.
    """
    init_scale, lam = arrays(init_scale, lam)
    return np.log(init_scale) / lam


def chance_accuracy(num_classes: ArrayLike) -> Array:
    """Return the accuracy 1 / K of guessing one of K classes that are equally frequent."""
    (num_classes,) = arrays(num_classes)
    return 1 / num_classes


def mirrored_share(modulus: ArrayLike, num_train: ArrayLike) -> Array:
    """Return the expected share of test pairs (a, b) whose mirror (b, a) is in the training set: N / (p (p + 1)).

    It is the accuracy of a lookup that knows that an operation is symmetric. Of all p^2 ordered pairs, N are drawn for training.
    A test pair has another mirror with probability 1 - 1 / p, and that is one of the N of p^2 - 1 other pairs.

    Args:
        modulus: p.
        num_train: N.
    """
    modulus, num_train = arrays(modulus, num_train)
    return num_train / (modulus * (modulus + 1))


def memorisable_labels(num_params: ArrayLike, num_classes: ArrayLike, bits_per_param: ArrayLike) -> Array:
    """Return the number of random labels of K classes, log2(K) bits each, that a network can hold.

    Args:
        num_params: P.
        num_classes: K.
        bits_per_param: capacity of a parameter, as measured on such networks.
    """
    num_params, num_classes, bits_per_param = arrays(num_params, num_classes, bits_per_param)
    return num_params * bits_per_param / np.log2(num_classes)
