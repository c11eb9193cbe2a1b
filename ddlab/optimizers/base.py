"""What every trained optimizer has: an update rule and a learning rate over time."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Any, ClassVar, final

import jax
import jax.numpy as jnp
import optax

from ddlab.config import Mark, leaf, named_leaf
from ddlab.errors import inside
from ddlab.optimizers.groups import Group, learning_rates, weight_decays
from ddlab.optimizers.modifiers import evaluated, modified


@dataclass(frozen=True)
class Optimizer(abc.ABC):
    """Base of optimizers that train.

    One is the direction that it makes of a gradient; weight decay, learning rate, groups of parameters and modifiers are the
    same for all. Numbers are traced: trials that differ in them share one program.

    Class attributes:
        METHOD: how trials of it are run.
    """

    METHOD: ClassVar[str] = "training"

    learning_rate: float = leaf("peak learning rate", Mark.TRACED, above=0)
    weight_decay: float = leaf("weight decay, on all parameters but what groups say", Mark.TRACED, low=0, off=0.0)
    decoupled: bool = leaf("weight decay acts beside the direction, not through the gradient (L2)", off=False)
    schedule: Any = leaf("learning rate over time (a component)", group="schedule")
    warmup_steps: int = leaf("steps of linear warm-up before the schedule's full rate; 0: none", low=0, off=0)
    groups: dict[str, Group] = named_leaf("parameters with factors of their own, by name")
    modifiers: dict[str, Any] = named_leaf("what lies around the update rule (components), by name", group="modifier")

    def learning_rate_at(self, step: jax.Array, num_steps: int) -> Any:
        """Return the learning rate of the update made at `step` (0 for the first) of `num_steps`."""
        made = step.astype(jnp.asarray(self.learning_rate).dtype)
        with inside(self.schedule):
            factor = self.schedule(made, max(1, num_steps))
        if self.warmup_steps:
            factor = jnp.minimum(1.0, (made + 1) / self.warmup_steps) * factor
        return self.learning_rate * factor

    @abc.abstractmethod
    def direction(self) -> optax.GradientTransformation:
        """Return what makes of a gradient the direction to go against; its state must not depend on traced numbers."""

    @final
    def make(self, learning_rate: Any) -> optax.GradientTransformationExtraArgs:
        """Return the update rule at a (traced) learning rate; `update` takes `grad_fn` and `step`, as `Modifier` says."""

        def begun(params: Any) -> optax.EmptyState:
            learning_rates(learning_rate, self.groups, params)  # a pattern that matches nothing is refused before training
            return optax.EmptyState()

        def scaled(updates: Any, state: optax.EmptyState, params: Any = None) -> tuple[Any, optax.EmptyState]:
            rates = learning_rates(learning_rate, self.groups, params)
            return jax.tree.map(lambda update, rate: -rate * update, updates, rates), state

        decay, direction = optax.stateless(self._decayed), self.direction()
        parts = (direction, decay) if self.decoupled else (decay, direction)
        return modified(optax.chain(*parts, optax.GradientTransformation(begun, scaled)), self.modifiers)

    @property
    def gradients_per_step(self) -> int:
        """Gradients that a step takes: one, and those that modifiers ask for."""
        return 1 + sum(modifier.GRADIENTS for modifier in self.modifiers.values())

    @final
    def eval_params(self, state: Any, params: Any) -> Any:
        """Return the parameters that are evaluated, as `params`; state: of the rule that `make` returns."""
        return evaluated(state, params, self.modifiers)

    def _decayed(self, updates: Any, params: Any) -> Any:
        """Return gradients, or directions, with the weight decay added."""
        decays = weight_decays(self.weight_decay, self.groups, params)
        return jax.tree.map(lambda update, decay, param: update + decay * param, updates, decays, params)
