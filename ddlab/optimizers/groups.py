"""Groups of parameters that have a learning rate and a weight decay of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import jax

from ddlab.config import Mark, leaf
from ddlab.errors import ConfigError, suggest
from ddlab.parameters import named


@dataclass(frozen=True)
class Group:
    """The parameters whose names match a pattern.

    Its factors multiply those of every other group that a parameter is in, so that the order of groups says nothing; a
    parameter in no group has the optimizer's own rate and decay.
    """

    pattern: str = leaf("of dotted names, with * and ? as in a shell: '*.bias', 'layers.0.*'")
    learning_rate_factor: float = leaf("multiplies the learning rate; 0: they stay as they are", Mark.TRACED, low=0, off=1.0)
    weight_decay_factor: float = leaf("multiplies the weight decay; 0: none", Mark.TRACED, low=0, off=1.0)


def learning_rates(base: Any, groups: Mapping[str, Group], params: Any) -> Any:
    """Return the learning rate of each parameter, as `params`; base: of those in no group."""
    return _each(base, {name: group.learning_rate_factor for name, group in groups.items()}, groups, params)


def weight_decays(base: Any, groups: Mapping[str, Group], params: Any) -> Any:
    """Return the weight decay of each parameter, as `params`; base: of those in no group."""
    return _each(base, {name: group.weight_decay_factor for name, group in groups.items()}, groups, params)


def _each(base: Any, factors: Mapping[str, Any], groups: Mapping[str, Group], params: Any) -> Any:
    values = dict.fromkeys(named(params), base)
    for name in sorted(groups):
        for parameter in _matched(name, groups[name].pattern, list(values)):
            values[parameter] = values[parameter] * factors[name]
    return jax.tree.unflatten(jax.tree.structure(params), values.values())


def _matched(name: str, pattern: str, parameters: list[str]) -> list[str]:
    """Return the parameters that a group's pattern matches.

    Raises:
        ConfigError: there are none.
    """
    found = [parameter for parameter in parameters if fnmatchcase(parameter, pattern)]
    if not found:
        known = suggest(pattern, parameters)
        raise ConfigError(f"optimizer.groups.{name}.pattern={pattern}: matches no parameter. {known}".rstrip())
    return found
