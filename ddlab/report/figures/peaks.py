"""What is read off the curve of a metric: its peak, and the interpolation threshold."""

from __future__ import annotations

import numpy as np
import pandas as pd


def interpolation_threshold(rows: pd.DataFrame) -> int | None:
    """Return the index of the first row at which the median train error over seeds is zero; None where it never is.

    Where it is zero at first and no longer at last, as along the number of examples, it is the last row before it is not.

    Args:
        rows: of train errors along a curve, with their `median`.
    """
    is_zero = (rows["median"] == 0).to_numpy()
    if interpolates_at_first(rows):
        return int(rows.index[is_zero.argmin() - 1])
    return int(rows.index[is_zero.argmax()]) if is_zero.any() else None


def interpolates_at_first(rows: pd.DataFrame) -> bool:
    """Return whether the median train error along a curve is zero at first and no longer at last."""
    return len(rows) > 0 and rows["median"].iloc[0] == 0 and rows["median"].iloc[-1] != 0


def stays_zero(rows: pd.DataFrame) -> bool:
    """Return whether the median train error along a curve is zero from where it first is on."""
    is_zero = (rows["median"] == 0).to_numpy()
    return bool(is_zero.any() and is_zero[is_zero.argmax() :].all())


def clear_peak(rows: pd.DataFrame) -> int | None:
    """Return the index of the highest value to which the curve has risen, and from which it falls, clearly; else None.

    Clearly: by more than twice the peak's standard deviation over seeds.

    Args:
        rows: along a curve, with their `middle`, a mean or median over seeds, and `sd`.
    """
    rows = rows[np.isfinite(rows["middle"])]
    clear = rows["middle"] - rows["middle"].cummin() > 2 * rows["sd"]
    if not clear.any():
        return None
    peak = int(rows["middle"].where(clear).idxmax())
    top = rows.loc[peak]
    return peak if top["middle"] - rows.loc[peak:, "middle"].min() > 2 * top["sd"] else None


def is_highest(rows: pd.DataFrame, peak: int) -> bool:
    """Return whether a peak is the highest point from the least one before it on."""
    start = rows.loc[:peak, "middle"].idxmin()
    return bool(rows.loc[peak, "middle"] >= rows.loc[start:, "middle"].max())
