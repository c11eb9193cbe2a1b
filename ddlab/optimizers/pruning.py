"""Pruning while training goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from ddlab.config import Mark, leaf
from ddlab.errors import ConfigError
from ddlab.optimizers.modifiers import Modifier
from ddlab.parameters import largest


class Pruned(NamedTuple):
    """The state of a rule with pruning around it.

    Attributes:
        rule: the state of the rule.
        gone: bool like the parameters, which of them stay 0.
    """

    rule: Any
    gone: Any


@dataclass(frozen=True)
class GradualPruning(Modifier):
    """Gradual magnitude pruning (Zhu, Gupta 2017, equation 1): the smallest weights of each layer become 0, and stay 0.

    After step t a share s_t = s (1 - (1 - (t - begin) / (end - begin))^3) of the weights of each layer is gone; from `end` on, s.
    A weight that is exactly 0 when others go, as one that does not live from the start, does not count. The count is exact:
    round(s_t n) of n weights. What modifiers inside this one evaluate, such as averages, is masked, too.
    """

    sparsity: float = leaf("share of the weights of each layer that are gone at the end", Mark.TRACED, low=0, high=1)
    begin: int = leaf("step after which weights begin to go", low=0)
    end: int = leaf("step after which no more go", low=0)
    every: int = leaf("steps from begin to the first cut, and from one to the next; the last is at end", low=1)

    def check(self) -> None:
        if self.begin > self.end:
            raise ConfigError(f"optimizer.modifiers: begin={self.begin}: must be at most end={self.end}")

    def wrap(self, rule: optax.GradientTransformationExtraArgs) -> optax.GradientTransformation:
        def begun(params: Any) -> Pruned:
            return Pruned(rule.init(params), jax.tree.map(lambda array: jnp.zeros(array.shape, bool), params))

        def update(gradient: Any, state: Pruned, params: Any = None, *, step: jax.Array, **offered: Any) -> tuple[Any, Pruned]:
            updates, inner = rule.update(gradient, state.rule, params, step=step, **offered)
            moved = optax.apply_updates(params, updates)
            since, length = step + 1 - self.begin, max(1, self.end - self.begin)
            is_cut = (since > 0) & (since <= length) & ((since % self.every == 0) | (since == length))
            gone = jax.lax.cond(is_cut, self._cut, lambda _, gone, __: gone, moved, state.gone, since / length)
            kept = jax.tree.map(lambda gone, update, param: jnp.where(gone, -param, update), gone, updates, params)
            return kept, Pruned(inner, gone)

        return optax.GradientTransformationExtraArgs(begun, update)

    def eval_params(self, state: Any, params: Any) -> Any:
        return _without(params, state.gone)

    def _cut(self, params: Any, gone: Any, done: jax.Array) -> Any:
        """Return which weights are gone after a cut, given those that were before it; done: share of the way to the last one."""
        share = self.sparsity * (1 - (1 - done) ** 3)
        living = _without(params, gone)
        counted = jax.tree.map(lambda array, gone: (array != 0) | gone, living, gone)
        left = largest(living, counted, share)
        return jax.tree.map(lambda counted, left: counted & ~left, counted, left)


def _without(params: Any, gone: Any) -> Any:
    return jax.tree.map(lambda array, gone: jnp.where(gone, jnp.zeros_like(array), array), params, gone)
