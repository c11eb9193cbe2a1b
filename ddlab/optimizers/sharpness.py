"""Sharpness-aware minimisation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ddlab.config import Mark, leaf
from ddlab.optimizers.modifiers import Modifier


@dataclass(frozen=True)
class SAM(Modifier):
    """Sharpness-aware minimisation (Foret et al. 2021, equation 2): the gradient at w + radius g / |g|, on the same batch.

    g is of the loss without weight decay; |g| is the norm of all parameters together.
    """

    GRADIENTS = 1

    radius: float = leaf("how far up the slope the gradient is taken", Mark.TRACED, low=0)

    def wrap(self, rule: optax.GradientTransformationExtraArgs) -> optax.GradientTransformation:
        def update(
            gradient: Any, state: Any, params: Any = None, *, grad_fn: Callable[[Any], Any], **offered: Any
        ) -> tuple[Any, Any]:
            norm = optax.tree.norm(gradient)
            scale = self.radius / jnp.where(norm > 0, norm, jnp.ones_like(norm))
            uphill = jax.tree.map(lambda param, slope: param + scale * slope, params, gradient)
            return rule.update(grad_fn(uphill), state, params, grad_fn=grad_fn, **offered)

        return optax.GradientTransformationExtraArgs(rule.init, update)
