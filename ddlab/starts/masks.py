"""Which weights of a trial live."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ddlab.config import Mark, leaf
from ddlab.config.declare import trial_leaf
from ddlab.errors import ConfigError
from ddlab.starts.base import Arrays, Mask, Ref, ScoreFn, Weights


@dataclass(frozen=True)
class Copied(Mask):
    """The mask of another trial."""

    of: str = trial_leaf("the trial whose mask it is")
    shuffle: bool = leaf("its weights in another order within each layer: as many live, at random", Mark.HOST, off=False)

    def check(self) -> None:
        if not self.of:
            raise ConfigError("start.mask.of: must name a stage")

    def refs(self) -> list[Ref]:
        return [Ref(self.of, None)]

    def __call__(self, weights: Weights, score_fn: ScoreFn | None, rng: np.random.Generator) -> dict[str, np.ndarray]:
        del score_fn
        masks = {name: live.copy() for name, live in weights.live.items()}
        if self.shuffle:
            for layer in weights.by_layer(masks).values():
                layer[...] = rng.permutation(layer.ravel()).reshape(layer.shape)
        return masks


@dataclass(frozen=True)
class Cut(Mask):
    """The weights of the largest scores among those that live in a trial.

    A share of those that live is taken out, of each layer or of all together, rounded to a whole number: exactly as many as said.
    Equal scores are ordered at random.
    """

    stream = "cut"

    score: Any = leaf("how much a weight is worth keeping (a component)", Mark.HOST, group="score")
    of: str = trial_leaf("the trial whose weights are scored; empty: its own as it begins")
    step: int | None = leaf("at which they are scored; null: its last", Mark.HOST, low=0)
    drop: float = leaf("share of the weights that live there which are taken out", Mark.HOST, low=0, high=1)
    scope: str = leaf("the share is taken of each layer, or of all together", Mark.HOST, choices=("layer", "global"))
    rounds: int = leaf("rounds of scoring and cutting, of equal shares of what lives", Mark.HOST, low=1, high=1000, off=1)
    readout: float = leaf(
        "what the share is multiplied by in the last layer (scope layer); scope global: 0 leaves it as it is",
        Mark.HOST,
        low=0,
        high=1,
    )

    def check(self) -> None:
        if self.scope == "global" and self.readout not in (0, 1):
            raise ConfigError(f"start.mask.readout={self.readout:g}: must be 0 or 1 with start.mask.scope=global")

    def refs(self) -> list[Ref]:
        return [Ref(self.of, self.step)] if self.of else []

    def __call__(self, weights: Weights, score_fn: ScoreFn | None, rng: np.random.Generator) -> dict[str, np.ndarray]:
        assert score_fn is not None
        masks = {name: live.copy() for name, live in weights.live.items()}
        for number in range(1, self.rounds + 1):
            self._cut(weights, masks, score_fn(masks), number / self.rounds, rng)
        return masks

    def _cut(self, weights: Weights, masks: Arrays, scores: Arrays, done: float, rng: np.random.Generator) -> None:
        """Take out of masks what is to be gone once a share of the rounds is done."""
        before, live, worth = weights.by_layer(weights.live), weights.by_layer(masks), weights.by_layer(scores)
        for layers, drop in self._groups(weights):
            mask = np.concatenate([live[layer].ravel() for layer in layers])
            score = np.concatenate([worth[layer].ravel() for layer in layers])
            at = rng.permutation(np.flatnonzero(mask))
            num_before = sum(int(before[layer].sum()) for layer in layers)
            left = num_before - round((1 - (1 - drop) ** done) * num_before)
            mask[at[np.argsort(score[at], kind="stable")][: len(at) - left]] = False
            for layer, kept in zip(layers, np.split(mask, np.cumsum([live[layer].size for layer in layers])[:-1]), strict=True):
                live[layer][...] = kept.reshape(live[layer].shape)

    def _groups(self, weights: Weights) -> list[tuple[list[str], float]]:
        """Return the layers that are cut together, and the share that is taken out of them."""
        if self.scope == "layer":
            return [([layer], self.drop * (self.readout if layer in weights.readout else 1)) for layer in weights.layers]
        layers = [layer for layer in weights.layers if self.readout or layer not in weights.readout]
        return [(layers, self.drop)] if layers else []
