"""Label noise: nested in its level, in one of the two conventions of the field."""

from __future__ import annotations

import numpy as np

from ddlab.data.base import generator

CONVENTIONS = ("any", "wrong")


def corrupt(labels: np.ndarray, level: float, num_classes: int, convention: str, seed: int) -> np.ndarray:
    """Return labels [N] of which the fraction `level` has been redrawn.

    The examples corrupted at one level are corrupted, to the same new labels, at every higher level.

    Args:
        labels: [N] integer class labels.
        level: fraction of labels to redraw, 0..1; round(level N) labels are redrawn.
        num_classes: K.
        convention: "any" redraws over all K classes (Greydanus, Kobak 2024), so that 1/K of the redrawn stay right;
            "wrong" redraws over the K-1 wrong ones (Nakkiran et al. 2020).
        seed: `data.seed`.
    """
    random = generator(seed, "label_noise")
    order = random.permutation(len(labels))
    if convention == "any":
        redrawn = random.integers(num_classes, size=len(labels))
    else:
        redrawn = (labels + random.integers(1, num_classes, size=len(labels))) % num_classes
    noisy = labels.copy()
    chosen = order[: round(level * len(labels))]
    noisy[chosen] = redrawn[chosen]
    return noisy
