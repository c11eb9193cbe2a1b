"""Modifiers of a user's own, made of optax's pieces."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax

from ddlab.config import Mark, leaf
from ddlab.optimizers import Modifier


@dataclass(frozen=True)
class Sam(Modifier):
    """Sharpness-aware minimisation as optax has it."""

    GRADIENTS = 1

    radius: float = leaf("how far up the slope the gradient is taken", Mark.TRACED, above=0)

    def wrap(self, rule):
        ascent = optax.chain(optax.contrib.normalize(), optax.sgd(self.radius))
        return optax.contrib.sam(rule, ascent, opaque_mode=True)


@dataclass(frozen=True)
class Scaled(Modifier):
    """Multiplies the gradient before the rule."""

    factor: float = leaf("of the gradient", Mark.TRACED)

    def wrap(self, rule):
        return optax.chain(optax.scale(self.factor), rule)


@dataclass(frozen=True)
class Shifted(Modifier):
    """Adds to every gradient before the rule."""

    shift: float = leaf("added to the gradient", Mark.TRACED)

    def wrap(self, rule):
        return optax.chain(optax.stateless(lambda updates, _: jax.tree.map(lambda u: u + self.shift, updates)), rule)


@dataclass(frozen=True)
class Forgets(Modifier):
    """Keeps nothing of the rule's state."""

    def wrap(self, rule):
        return optax.GradientTransformation(
            lambda _: optax.EmptyState(),
            lambda updates, state, params: (rule.update(updates, rule.init(params), params)[0], state),
        )


@dataclass(frozen=True)
class Orthogonal(Modifier):
    """Makes the update of each matrix orthogonal, so that no entry of it is 0 (as Muon, Jordan et al. 2024)."""

    def wrap(self, rule):
        def turned(updates, state, params=None):
            del params

            def turn(update):
                if update.ndim != 2:
                    return update
                left, _, right = jnp.linalg.svd(update, full_matrices=False)
                return 0.1 * left @ right

            return jax.tree.map(turn, updates), state

        return optax.chain(rule, optax.GradientTransformation(lambda _: optax.EmptyState(), turned))
