"""Straight lines on log scales."""

from __future__ import annotations

import numpy as np


def slopes(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return slope [B] and intercept [B] of log y against log x by least squares, x [P] and y [B, P]; nan where one is not."""
    with np.errstate(divide="ignore", invalid="ignore"):
        log_x, log_y = np.log(x), np.log(np.where(np.isfinite(y) & (y > 0), y, np.nan))
        away = log_x - log_x.mean()
        slope = (log_y @ away) / (away @ away)
        return slope, log_y.mean(axis=1) - slope * log_x.mean()
