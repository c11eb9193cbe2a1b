"""Update rules: stochastic gradient descent and Adam."""

from __future__ import annotations

from dataclasses import dataclass

import optax

from ddlab.config import Mark, leaf
from ddlab.optimizers.base import Optimizer


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent, v <- momentum v + (g + weight_decay w), w <- w - lr v; as in PyTorch."""

    momentum: float = leaf("momentum", Mark.TRACED, low=0, high=1, off=0.0)
    nesterov: bool = leaf("Nesterov momentum", off=False)

    def direction(self) -> optax.GradientTransformation:
        return optax.trace(decay=self.momentum, nesterov=self.nesterov)


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam (Kingma, Ba 2015), with L2 as in PyTorch's Adam; decoupled AdamW, w <- w - lr (adam(g) + weight_decay w).

    AdamW: Loshchilov, Hutter 2019.
    """

    b1: float = leaf("decay of the mean of gradients", Mark.TRACED, low=0, below=1)
    b2: float = leaf("decay of the mean of squared gradients", Mark.TRACED, low=0, below=1)
    eps: float = leaf("added to the root of the second moment", Mark.TRACED, low=0)

    def direction(self) -> optax.GradientTransformation:
        return optax.scale_by_adam(self.b1, self.b2, self.eps)
