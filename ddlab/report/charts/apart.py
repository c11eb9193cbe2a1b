"""Heights of text beside points, moved apart where it would overlap."""

from __future__ import annotations

import numpy as np

# Points nearer than this share of the panel's width may have text that overlaps.
NEAR = 0.15

# Of text, in inches.
LINE_HEIGHT = 0.13


def apart(x: np.ndarray, y: np.ndarray, gap: float) -> np.ndarray:
    """Return heights within a panel, at least a gap apart among points that are near in `x`, in the order of `y` and near to it.

    Args:
        x, y: [N] where points are, as shares of a panel.
        gap: of heights, as such a share.
    """
    moved = y.astype(float)
    for cluster in _clusters(x):
        order = cluster[np.argsort(y[cluster], kind="stable")]
        places = np.arange(len(order))
        above_floor = np.maximum(_stacked(y[order], gap), gap * (places + 0.5))
        moved[order] = np.minimum(above_floor, 1 - gap * (places[::-1] + 0.5))
    return moved


def _clusters(x: np.ndarray) -> list[np.ndarray]:
    """Return the indices of points that are near in `x`, from left to right."""
    order = np.argsort(x, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(x[order]) > NEAR) + 1)


def _stacked(y: np.ndarray, gap: float) -> np.ndarray:
    """Return ascending heights a gap apart: blocks that touch are merged, and lie around the mean of where they would be."""
    blocks: list[tuple[float, int]] = []
    for height in y:
        mean, count = float(height), 1
        while blocks and blocks[-1][0] + gap * (blocks[-1][1] + count) / 2 > mean:
            before, number = blocks.pop()
            mean, count = (before * number + mean * count) / (number + count), number + count
        blocks.append((mean, count))
    return np.concatenate([mean + gap * (np.arange(count) - (count - 1) / 2) for mean, count in blocks])
