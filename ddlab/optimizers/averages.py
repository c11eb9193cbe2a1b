"""Averages of weights along a trajectory: they are evaluated, the weights themselves are trained as without.

Batch statistics of a network are those of the weights that are trained, and what starts from such a trial takes these weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from ddlab.config import Mark, leaf
from ddlab.optimizers.modifiers import Modifier


@dataclass(frozen=True)
class EMA(Modifier):
    """Exponential moving average, a <- decay a + (1 - decay) w after each step, begun at the first weights.

    After Polyak, Juditsky 1992.
    """

    decay: float = leaf("of the average before, in the average after a step", Mark.TRACED, low=0, below=1)

    def wrap(self, rule: optax.GradientTransformationExtraArgs) -> optax.GradientTransformation:
        def follow(updates: Any, average: Any, params: Any = None) -> tuple[Any, Any]:
            return updates, optax.incremental_update(optax.apply_updates(params, updates), average, 1 - self.decay)

        return optax.chain(rule, optax.GradientTransformation(lambda params: params, follow))

    def eval_params(self, state: Any, params: Any) -> Any:
        del params
        _, average = state
        return average


class Mean(NamedTuple):
    """A mean of weights.

    Attributes:
        num: how many there are of each, [] int32.
        params: their mean.
    """

    num: Any
    params: Any


@dataclass(frozen=True)
class SWA(Modifier):
    """Stochastic weight averaging (Izmailov et al. 2018): the mean of the weights every so many steps, from some step on.

    Before that step the weights that are trained are evaluated. How the learning rate goes is for the schedule to say.
    """

    begin: int = leaf("step from which on weights are taken", Mark.TRACED, low=0)
    every: int = leaf("steps from one to the next", Mark.TRACED, low=1)

    def wrap(self, rule: optax.GradientTransformationExtraArgs) -> optax.GradientTransformation:
        def follow(updates: Any, mean: Mean, params: Any = None, *, step: jax.Array, **_: Any) -> tuple[Any, Mean]:
            since = step + 1 - self.begin
            is_taken = (since >= 0) & (since % self.every == 0)
            num = mean.num + is_taken

            def joined(mean: jax.Array, now: jax.Array) -> jax.Array:
                return jnp.where(is_taken, mean + (now - mean) / jnp.maximum(num, 1).astype(mean.dtype), mean)

            return updates, Mean(num, jax.tree.map(joined, mean.params, optax.apply_updates(params, updates)))

        def begun(params: Any) -> Mean:
            return Mean(jnp.zeros((), jnp.int32), params)

        return optax.chain(rule, optax.GradientTransformationExtraArgs(begun, follow))

    def eval_params(self, state: Any, params: Any) -> Any:
        _, mean = state
        return jax.tree.map(lambda mean_of, now: jnp.where(mean.num == 0, now, mean_of), mean.params, params)
