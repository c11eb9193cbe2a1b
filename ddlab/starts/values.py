"""Where the parameters of a trial are from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ddlab.config import Mark, leaf
from ddlab.config.declare import trial_leaf, trials_leaf
from ddlab.errors import ConfigError
from ddlab.starts.base import Arrays, Kept, Ref, Values


@dataclass(frozen=True)
class OfTrial(Values):
    """Base of values that are made of those of one other trial at a step."""

    of: str = trial_leaf("the trial")
    step: int | None = leaf("at which its values are taken; null: its last", Mark.HOST, low=0)

    def check(self) -> None:
        if not self.of:
            raise ConfigError("start.values.of: must name a stage")

    def refs(self) -> list[Ref]:
        return [Ref(self.of, self.step)]


@dataclass(frozen=True)
class FromTrial(OfTrial):
    """Those of another trial at a step: fine-tuning, and rewinding (Frankle et al. 2020)."""

    GOES_ON = True

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
        return _sum(kept, [1 - self.alpha, self.alpha])


@dataclass(frozen=True)
class Average(Values):
    """The mean of one trial at several steps (SWA; Izmailov et al. 2018), or of several trials (a soup; Wortsman et al. 2022).

    Batch statistics are averaged, too. (Izmailov et al. compute them anew.)
    """

    of: list[str] = trials_leaf("the trials")
    steps: list[int] = leaf("at each of which all of them are taken; none: their last", Mark.HOST)

    def check(self) -> None:
        if not self.of:
            raise ConfigError("start.values.of: must name a stage, or several")

    def refs(self) -> list[Ref]:
        return [Ref(trial, step) for trial in self.of for step in (*self.steps,) or (None,)]

    def __call__(self, kept: Sequence[Kept], drawn: Kept) -> Kept:
        del drawn
        return _sum(kept, [1 / len(kept)] * len(kept))


@dataclass(frozen=True)
class NormOf(OfTrial):
    """As they are drawn, each parameter scaled to the norm that it has in another trial (Minegishi et al. 2023).

    A network of the norms of a sparse one, but dense, tells what is due to these from what is due to the mask. A parameter that
    is zero stays so.
    """

    order: int = leaf("1: the sum of what the entries are in size; 2: the Euclidean norm", Mark.HOST, choices=(1, 2))

    def __call__(self, kept: Sequence[Kept], drawn: Kept) -> Kept:
        (other,) = kept
        return drawn._replace(params={name: self._scaled(array, other.params[name]) for name, array in drawn.params.items()})

    def _scaled(self, array: np.ndarray, other: np.ndarray) -> np.ndarray:
        own, wanted = (np.linalg.norm(of.astype(float).ravel(), self.order) for of in (array, other))
        return (array * (wanted / own)).astype(array.dtype) if own else array


def _sum(kept: Sequence[Kept], shares: Sequence[float]) -> Kept:
    """Return what is kept of the first trial, with the parameters and batch statistics of all, as much of each as its share."""

    def summed(arrays: Sequence[Arrays]) -> dict[str, np.ndarray]:
        return {
            name: np.tensordot(shares, np.array([own[name] for own in arrays], float), axes=1).astype(array.dtype)
            for name, array in arrays[0].items()
        }

    return kept[0]._replace(params=summed([one.params for one in kept]), moving=summed([one.moving for one in kept]))
