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

    def __call__(self, kept: Sequence[Kept], drawn: Kept) -> Kept:
        del drawn
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

    def __call__(self, kept: Sequence[Kept], drawn: Kept) -> Kept:
        del drawn
        one, other = kept
        return one._replace(params=self._between(one.params, other.params), moving=self._between(one.moving, other.moving))

    def _between(self, one: Arrays, other: Arrays) -> dict[str, np.ndarray]:
        alpha = self.alpha
        return {
            name: ((1 - alpha) * array.astype(float) + alpha * other[name]).astype(array.dtype) for name, array in one.items()
        }


@dataclass(frozen=True)
class NormOf(Values):
    """As they are drawn, each parameter scaled to the norm that it has in another trial (Minegishi et al. 2023, section 4.2).

    A network of the norms of a sparse one, but dense, tells what is due to these from what is due to the mask. A parameter that
    is zero stays so.
    """

    of: str = trial_leaf("the trial")
    step: int | None = leaf("at which its norms are taken; null: its last", Mark.HOST, low=0)
    order: int = leaf("1: the sum of what the entries are in size; 2: the Euclidean norm", Mark.HOST, choices=(1, 2))

    def check(self) -> None:
        if not self.of:
            raise ConfigError("start.values.of: must name a stage")

    def refs(self) -> list[Ref]:
        return [Ref(self.of, self.step)]

    def __call__(self, kept: Sequence[Kept], drawn: Kept) -> Kept:
        (other,) = kept
        return drawn._replace(params={name: self._scaled(array, other.params[name]) for name, array in drawn.params.items()})

    def _scaled(self, array: np.ndarray, other: np.ndarray) -> np.ndarray:
        own, wanted = (np.linalg.norm(of.astype(float).ravel(), self.order) for of in (array, other))
        return (array * (wanted / own)).astype(array.dtype) if own else array
