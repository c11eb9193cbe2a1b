"""Update rules: stochastic gradient descent and the Adam family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import optax

from ddlab.config import Mark, leaf
from ddlab.optimizers.base import Optimizer


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent, v <- momentum v + (g + weight_decay w), w <- w - lr v; as in PyTorch."""

    momentum: float = leaf("momentum", Mark.TRACED, low=0, high=1, off=0.0)
    nesterov: bool = leaf("Nesterov momentum", off=False)

    def make(self, learning_rate: Any) -> optax.GradientTransformation:
        return optax.chain(
            optax.add_decayed_weights(self.weight_decay),
            optax.trace(decay=self.momentum, nesterov=self.nesterov),
            optax.scale_by_learning_rate(learning_rate),
        )


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam (Kingma, Ba 2015); weight decay is added to the gradient (L2), as in PyTorch's Adam."""

    b1: float = leaf("decay of the mean of gradients", Mark.TRACED, low=0, below=1)
    b2: float = leaf("decay of the mean of squared gradients", Mark.TRACED, low=0, below=1)
    eps: float = leaf("added to the root of the second moment", Mark.TRACED, low=0)

    def make(self, learning_rate: Any) -> optax.GradientTransformation:
        return optax.chain(
            optax.add_decayed_weights(self.weight_decay),
            optax.scale_by_adam(self.b1, self.b2, self.eps),
            optax.scale_by_learning_rate(learning_rate),
        )


@dataclass(frozen=True)
class AdamW(Adam):
    """AdamW (Loshchilov, Hutter 2019): decoupled weight decay, w <- w - lr (adam(g) + weight_decay w)."""

    def make(self, learning_rate: Any) -> optax.GradientTransformation:
        return optax.chain(
            optax.scale_by_adam(self.b1, self.b2, self.eps),
            optax.add_decayed_weights(self.weight_decay),
            optax.scale_by_learning_rate(learning_rate),
        )
