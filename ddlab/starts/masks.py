"""Which weights of a trial live."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ddlab.config import Mark, leaf
from ddlab.config.declare import trial_leaf
from ddlab.errors import ConfigError
from ddlab.starts.base import UNITS, WEIGHT, Arrays, Mask, Ref, ScoreFn, Sets, Weights


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
class Scored(Mask):
    """Base of masks that keep what has the largest scores among what lives in a trial; equal ones are ordered at random."""

    stream = "cut"

    score: Any = leaf("how much a weight, or a unit, is worth keeping (a component)", Mark.HOST, group="score")
    of: str = trial_leaf("the trial whose weights are scored; empty: its own as it begins")
    step: int | None = leaf("at which they are scored; null: its last", Mark.HOST, low=0)

    def refs(self) -> list[Ref]:
        return [Ref(self.of, self.step)] if self.of else []

    def _scores(self, sets: Sets, terms: Arrays) -> np.ndarray:
        """Return the score of each of some sets, [sets]."""
        return self.score.of_sets(sets.of(terms).astype(float))


@dataclass(frozen=True)
class Cut(Scored):
    """The weights, or the units, of the largest scores among those that live in a trial.

    A share of those that live is taken out, of each layer or of all together, rounded to a whole number: exactly as many as said.

    With a unit go all of its parameters: its weights from the layer before and to the layer behind, its bias, its gain and shift;
    what is left is a narrower network. So units are those that no residual stream and no norm over a layer or a group joins to
    others. A unit lives while any of its parameters does.
    """

    drop: float = leaf("share of the weights, or units, that live there which are taken out", Mark.HOST, low=0, high=1)
    scope: str = leaf("the share is taken of each layer, or of all together", Mark.HOST, choices=("layer", "global"))
    rounds: int = leaf("rounds of scoring and cutting, of equal shares of what lives", Mark.HOST, low=1, high=1000, off=1)
    readout: float = leaf(
        "what the share is multiplied by in the last layer (scope layer); scope global: 0 leaves it as it is",
        Mark.HOST,
        low=0,
        high=1,
    )
    unit: str = leaf("what is taken out as a whole", Mark.HOST, choices=UNITS, off=WEIGHT)

    def check(self) -> None:
        if self.scope == "global" and self.readout not in (0, 1):
            raise ConfigError(f"start.mask.readout={self.readout:g}: must be 0 or 1 with start.mask.scope=global")
        if self.unit != WEIGHT and self.readout != 1:
            raise ConfigError(f"start.mask.readout={self.readout:g}: must be 1 with start.mask.unit={self.unit}, as outputs stay")

    def __call__(self, weights: Weights, score_fn: ScoreFn | None, rng: np.random.Generator) -> dict[str, np.ndarray]:
        assert score_fn is not None
        masks = {name: live.copy() for name, live in weights.live.items()}
        for number in range(1, self.rounds + 1):
            self._cut(weights, masks, score_fn(masks), number / self.rounds, rng)
        return masks

    def _cut(self, weights: Weights, masks: Arrays, terms: Arrays, done: float, rng: np.random.Generator) -> None:
        """Take out of masks what is to be gone once a share of the rounds is done."""
        for group, drop in self._groups(weights):
            num_before = sum(int(sets.of(weights.live).any(axis=1).sum()) for sets in group)
            live = np.concatenate([sets.of(masks).any(axis=1) for sets in group])
            score = np.concatenate([self._scores(sets, terms) for sets in group])
            at = rng.permutation(np.flatnonzero(live))
            left = num_before - round((1 - (1 - drop) ** done) * num_before)
            dead = np.zeros(len(live), bool)
            dead[at[np.argsort(score[at], kind="stable")][: len(at) - left]] = True
            ends = np.cumsum([len(sets.of(masks)) for sets in group])
            for sets, own in zip(group, np.split(dead, ends[:-1]), strict=True):
                sets.take_out(masks, own)

    def _groups(self, weights: Weights) -> list[tuple[list[Sets], float]]:
        """Return the sets that are cut together, and the share that is taken out of them."""
        readout = {name for name, layer in weights.layers.items() if layer.is_readout}
        found = weights.sets(self.unit)
        if self.scope == "layer":
            return [([sets], self.drop * (self.readout if name in readout else 1)) for name, sets in found.items()]
        group = [sets for name, sets in found.items() if self.readout or name not in readout]
        return [(group, self.drop)] if group else []


@dataclass(frozen=True)
class Pattern(Scored):
    """At most n of each m consecutive inputs of a unit, those of the largest scores (N:M sparsity; Mishra et al. 2021).

    What is left over at the end, fewer than m, counts as m.
    """

    n: int = leaf("weights that live of each m", Mark.HOST, low=1)
    m: int = leaf("consecutive inputs of a unit", Mark.HOST, low=1)

    def check(self) -> None:
        if self.n > self.m:
            raise ConfigError(f"start.mask.n={self.n}: must be at most start.mask.m={self.m}")

    def __call__(self, weights: Weights, score_fn: ScoreFn | None, rng: np.random.Generator) -> dict[str, np.ndarray]:
        assert score_fn is not None
        masks = {name: live.copy() for name, live in weights.live.items()}
        terms, sets = score_fn(masks), weights.sets(WEIGHT)
        for name, mask in weights.by_layer(masks).items():
            scores = np.where(mask, self._scores(sets[name], terms).reshape(mask.shape), -np.inf)
            inputs = weights.layers[name].inputs
            np.moveaxis(mask, inputs, -1)[...] &= self._largest(np.moveaxis(scores, inputs, -1), rng)
        return masks

    def _largest(self, scores: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return which of scores [..., inputs] are among the n largest of their m."""
        num = scores.shape[-1]
        rest = [(0, 0)] * (scores.ndim - 1) + [(0, -num % self.m)]
        blocks = np.pad(scores, rest, constant_values=-np.inf).reshape(*scores.shape[:-1], -1, self.m)
        order = np.lexsort((rng.random(blocks.shape), blocks), axis=-1)
        found = np.zeros(blocks.shape, bool)
        np.put_along_axis(found, order[..., self.m - self.n :], True, axis=-1)
        return found.reshape(*scores.shape[:-1], -1)[..., :num]
