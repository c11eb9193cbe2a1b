"""Where a vertical axis ends."""

from __future__ import annotations

from typing import Any

import numpy as np

# An axis from 0 that its values fill less than this share of would hide how they differ: it starts just below them.
LEAST_SHARE = 1 / 3

# A linear axis goes this share of the values' range beyond them, a log axis this factor.
ROOM, FACTOR = 0.12, 1.3

# On a log scale, values below this share of the least that matters are not shown: a loss falls to rounding errors.
LEAST_SHOWN = 1e-3


def shown_on(scale: str, numbers: Any) -> np.ndarray:
    """Return the numbers that an axis can show, flat."""
    array = np.asarray(numbers, float).reshape(-1)
    return array[can_show(scale, array)]


def can_show(scale: str, numbers: Any) -> np.ndarray:
    """Return which numbers an axis can show: those that are finite, and above 0 on a log scale."""
    array = np.asarray(numbers, float)
    return np.isfinite(array) & ((array > 0) | (scale != "log"))


def limits(scale: str, main: Any, others: Any) -> tuple[float, float]:
    """Return the ends of an axis.

    Args:
        scale: "linear" or "log".
        main: values that it must show; it has at least one that it can.
        others: values that it shows too, unless they would hide how the main ones differ.
    """
    low, high = (float(end) for end in (shown_on(scale, main).min(), shown_on(scale, main).max()))
    beside = shown_on(scale, others)
    if scale == "log":
        least = max(float(np.min(beside, initial=low)), LEAST_SHOWN * low)
        return least / FACTOR, float(np.max(beside, initial=high)) * FACTOR
    span = high - low
    if low > 0 and 0 < span < LEAST_SHARE * high:
        return low - ROOM * span, high + ROOM * span
    low, high = float(np.min(beside, initial=min(low, 0.0))), float(np.max(beside, initial=high))
    return low * (1 + ROOM), high + (ROOM * (high - low) or 1.0)


def shares(scale: str, low: float, high: float, numbers: Any) -> np.ndarray:
    """Return how high on an axis, "linear" or "log" from `low` to `high`, numbers lie: from 0 to 1, or beyond."""
    ends, places = np.array([low, high]), np.asarray(numbers, float)
    if scale == "log":
        ends, places = np.log(ends), np.log(places)
    return (places - ends[0]) / (ends[1] - ends[0])
