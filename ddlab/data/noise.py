"""Label noise: nested in its level, in one of the two conventions of the field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ddlab.config import Mark, leaf, seed_leaf
from ddlab.data.base import TRAIN, Dataset, DataSource, Split
from ddlab.streams import generator

CONVENTIONS = ("any", "wrong")

VALIDATION, VALIDATION_NOISE = "validation", "validation_label_noise"


@dataclass(frozen=True, kw_only=True)
class NoisyLabels(DataSource):
    """Base of data sets with classes whose training labels may be wrong."""

    label_noise: float = leaf("fraction of training labels redrawn", Mark.HOST, low=0, high=1, off=0.0, targets=True)
    noise_convention: str = leaf("redraw over 'any' class or over the 'wrong' ones", choices=CONVENTIONS, targets=True)
    noise_seed: int = seed_leaf("seed of the label noise", targets=True)

    def dataset(self, splits: Mapping[str, Split], num_classes: int, num_tokens: int | None = None) -> Dataset:
        """Return the arrays of a data set whose training labels have no noise yet: they get theirs, as `corrupt` says."""
        train = splits[TRAIN]
        noisy = corrupt(train.targets, self.label_noise, num_classes, self.noise_convention, self.noise_seed)
        return Dataset({**splits, TRAIN: train._replace(targets=noisy)}, num_classes, num_tokens, truth=train.targets)


@dataclass(frozen=True, kw_only=True)
class HeldOut(NoisyLabels):
    """Base of those with a split "validation", to stop by: held-out examples with the label noise of the training set.

    Whoever has wrong labels in a training set has them in what is held out of it, too. The training set is the same without.
    """

    num_validation: int = leaf("examples held out to stop by, labels as noisy as in training; 0: there are none", low=0, off=0)

    @property
    def held_out(self) -> dict[str, int]:
        """The number of examples of the split; empty where there is none."""
        return {VALIDATION: self.num_validation} if self.num_validation else {}

    def validation(self, inputs: np.ndarray, labels: np.ndarray, num_classes: int) -> dict[str, Split]:
        """Return the split, of inputs [M, ...] and labels [M] without noise; empty where there is none."""
        if not self.num_validation:
            return {}
        noisy = corrupt(labels, self.label_noise, num_classes, self.noise_convention, self.noise_seed, VALIDATION_NOISE)
        return {VALIDATION: Split(inputs, noisy)}


def corrupt(
    labels: np.ndarray, level: float, num_classes: int, convention: str, seed: int, stream: str = "label_noise"
) -> np.ndarray:
    """Return labels [N] of which the fraction `level` has been redrawn.

    The examples corrupted at one level are corrupted, to the same new labels, at every higher level.

    Args:
        labels: [N] integer class labels.
        level: fraction of labels to redraw, 0..1; round(level N) labels are redrawn.
        num_classes: K.
        convention: "any" redraws over all K classes (Greydanus, Kobak 2024), so that 1/K of the redrawn stay right;
            "wrong" redraws over the K-1 wrong ones (Nakkiran et al. 2020).
        seed: `data.noise_seed`.
        stream: name of the random numbers; other ones for examples of another split.
    """
    random = generator(seed, stream)
    order = random.permutation(len(labels))
    if convention == "any":
        redrawn = random.integers(num_classes, size=len(labels))
    else:
        redrawn = (labels + random.integers(1, num_classes, size=len(labels))) % num_classes
    noisy = labels.copy()
    chosen = order[: round(level * len(labels))]
    noisy[chosen] = redrawn[chosen]
    return noisy
