"""Modifiers: components around an update rule, such as a filter of its gradients, a second gradient, or averaged weights."""

from __future__ import annotations

import abc
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import optax

from ddlab.errors import inside


@dataclass(frozen=True)
class Modifier(abc.ABC):
    """Base of modifiers.

    Example:
        What changes the gradient before the rule, or the update after it, is chained to it ::

            @dataclass(frozen=True)
            class Clipped(Modifier):
                norm: float = leaf("largest norm of the gradient", Mark.TRACED, above=0)

                def wrap(self, rule):
                    return optax.chain(optax.clip_by_global_norm(self.norm), rule)

        `update` is offered extra arguments, of which it takes those that it names: `grad_fn`, as optax's own `sam` asks for it,
        (params, any) -> the gradient of the loss on the batch of this step; and `step`, the updates made before, [] int32, one
        number for all trials of a pack, so that what depends on it stays a real branch.

    Class attributes:
        GRADIENTS: how many it asks for at each step, for the planner to know what a step costs.
    """

    GRADIENTS: ClassVar[int] = 0

    @abc.abstractmethod
    def wrap(self, rule: optax.GradientTransformationExtraArgs) -> optax.GradientTransformation:
        """Return the rule with what this adds; its state holds that of `rule` once, and does not depend on traced numbers."""

    def eval_params(self, state: Any, params: Any) -> Any:
        """Return the parameters that are evaluated, as `params`.

        Args:
            state: of the rule that `wrap` returns.
            params: those that are evaluated without this.
        """
        del state
        return params


class Wrapped(NamedTuple):
    """The state of a rule, marked so that it is found in that of the modifier around it."""

    state: Any


def modified(rule: optax.GradientTransformation, modifiers: Mapping[str, Modifier]) -> optax.GradientTransformationExtraArgs:
    """Return a rule with its modifiers around it: in the order of their names, the first outermost, where gradients come in."""
    for name in sorted(modifiers, reverse=True):
        with inside(modifiers[name], "wrap"):
            rule = modifiers[name].wrap(_marked(rule))
    return _offered(rule)


def evaluated(state: Any, params: Any, modifiers: Mapping[str, Modifier]) -> Any:
    """Return the parameters that are evaluated: what the modifiers make of them, the outermost last."""
    states = []
    for name in sorted(modifiers):
        states.append((modifiers[name], state))
        state = _inner(modifiers[name], state)
    for modifier, own in reversed(states):
        with inside(modifier, "eval_params"):
            params = modifier.eval_params(own, params)
    return params


def _marked(rule: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    inner = _offered(rule)

    def update(updates: Any, state: Wrapped, params: Any = None, **extra_args: Any) -> tuple[Any, Wrapped]:
        updates, changed = inner.update(updates, state.state, params, **extra_args)
        return updates, Wrapped(changed)

    return optax.GradientTransformationExtraArgs(lambda params: Wrapped(inner.init(params)), update)


def _offered(rule: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    """Return a rule that may be offered any extra arguments, of which it takes those that its `update` names."""
    inner = optax.with_extra_args_support(rule)
    parameters = inspect.signature(inner.update).parameters.values()
    takes_all = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)
    named = {parameter.name for parameter in parameters}

    def update(updates: Any, state: Any, params: Any = None, **offered: Any) -> tuple[Any, Any]:
        taken = {name: value for name, value in offered.items() if takes_all or name in named}
        return inner.update(updates, state, params, **taken)

    return optax.GradientTransformationExtraArgs(inner.init, update)


def _inner(modifier: Modifier, state: Any) -> Any:
    """Return the state of the rule inside that of a modifier around it."""
    nodes = jax.tree.leaves(state, is_leaf=lambda node: isinstance(node, Wrapped))
    found = [node.state for node in nodes if isinstance(node, Wrapped)]
    with inside(modifier, "wrap"):
        if len(found) != 1:
            raise TypeError(f"its state must hold that of the rule once, not {len(found)} times")
    return found[0]
