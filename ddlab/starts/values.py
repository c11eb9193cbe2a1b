"""Where the parameters of a trial are from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ddlab.config import Mark, leaf
from ddlab.config.declare import trial_leaf
from ddlab.errors import ConfigError
from ddlab.starts.base import Arrays, Kept, Ref, Values


@dataclass(frozen=True)
class FromTrial(Values):
    """Those of another trial at a step: fine-tuning, and rewinding (Frankle et al. 2020)."""

    of: str = trial_leaf("the trial")
    step: int | None = leaf("at which it had them; null: its last", Mark.HOST, low=0)

    def check(self) -> None:
        if not self.of:
            raise ConfigError("start.values.of: must name a stage")

    def refs(self) -> list[Ref]:
        return [Ref(self.of, self.step)]

    def __call__(self, kept: Sequence[Kept]) -> Kept:
        return kept[0]


@dataclass(frozen=True)
class Between(Values):
    """On the straight line between two other trials (Frankle et al. 2020): (1 - alpha) times the one, alpha times the other."""

    of: str = trial_leaf("the one trial")
    other: str = trial_leaf("the other trial")
    alpha: float = leaf("how far from the one to the other", Mark.HOST)
    step: int | None = leaf("at which both are taken; null: their last", Mark.HOST, low=0)

    def check(self) -> None:
        if not self.of or not self.other:
            raise ConfigError(f"start.values.{'other' if self.of else 'of'}: must name a stage")

    def refs(self) -> list[Ref]:
        return [Ref(self.of, self.step), Ref(self.other, self.step)]

    def __call__(self, kept: Sequence[Kept]) -> Kept:
        one, other = kept
        return one._replace(params=self._between(one.params, other.params), moving=self._between(one.moving, other.moving))

    def _between(self, one: Arrays, other: Arrays) -> dict[str, np.ndarray]:
        alpha = self.alpha
        return {
            name: ((1 - alpha) * array.astype(float) + alpha * other[name]).astype(array.dtype) for name, array in one.items()
        }
