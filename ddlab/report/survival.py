"""Quantiles of times some of which are right-censored: known to be later than a time only.

The estimator of Kaplan and Meier (1958); to leave out what is censored, or to take it as if it had happened then, would make
times seem shorter than they are.
"""

from __future__ import annotations

import numpy as np

# Sums of weights this close are equal.
ROUNDING = 1e-9


def quantile(times: np.ndarray, censored: np.ndarray, share: float, weights: np.ndarray | None = None) -> np.ndarray:
    """Return the time by which a share of the trials is expected to have got there, for each of B weightings: [B].

    It is the middle of the interval where the share is met exactly until the next time, as for the median of an even number; inf
    where it is beyond all that is known; nan where all weights are 0.

    Args:
        times: [R] when each got there, or until when it had not.
        censored: [R] bool, whether it had not.
        share: from 0 to 1, not 0.
        weights: [B, R] how often each counts; None: once, and B = 1.
    """
    order = np.lexsort([censored, times])  # of equal times, what happened is before what is censored
    times, censored = times[order], censored[order]
    weights = np.ones((1, len(times))) if weights is None else weights[:, order]
    if not len(times):
        return np.full(len(weights), np.nan)
    at_risk = np.cumsum(weights[:, ::-1], axis=1)[:, ::-1]
    happened = np.where(censored, 0.0, weights)
    there = 1 - np.cumprod(1 - happened / np.where(at_risk > 0, at_risk, 1), axis=1)  # share that has got there by each time
    padded = np.append(np.where(censored, np.inf, times), np.inf)

    def first(reached: np.ndarray) -> np.ndarray:
        found = reached & (happened > 0)
        return padded[np.where(found.any(axis=1), np.argmax(found, axis=1), len(times))]

    low, high = first(there >= share - ROUNDING), first(there > share + ROUNDING)
    with np.errstate(invalid="ignore"):
        middle = low if share >= 1 - ROUNDING else (low + high) / 2
    return np.where(at_risk[:, 0] > 0, middle, np.nan)
