"""From the overrides of a command line to the parts of a sweep.

Hydra would compose every trial. Here each combination of *structural* choices (config groups) is composed once, each distinct
value of a leaf axis is type-checked once, and the table is expanded in `ddlab.plan`. The jobs that Hydra launches are packs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from ddlab.compose.axes import axis_values, parse_axis
from ddlab.compose.parts import make_part
from ddlab.compose.stages import Stage, read_stages
from ddlab.compose.words import Composed, compose_words
from ddlab.plan.shapes import Part


@dataclass(frozen=True)
class Composer:
    """What is needed of Hydra.

    Attributes:
        compose: overrides (no sweeps) -> composed config, `hydra` node included.
        groups: config group -> its options.
    """

    compose: Callable[[list[str]], DictConfig]
    groups: Mapping[str, list[str]]


@dataclass(frozen=True)
class Sweep:
    """A composed sweep: its parts, and the config that says how to run and report it (of the first part)."""

    parts: tuple[Part, ...]
    config: DictConfig


def compose_sweep(composer: Composer, overrides: Sequence[str]) -> Sweep:
    """Compose every part of a sweep.

    Args:
        composer: access to Hydra.
        overrides: of the command line; scalars pin a key, sweeps (`1,2`, `range(5)`, `choice(..)`, `glob(..)`) are axes.

    Raises:
        ConfigError: an override that is not allowed.
    """
    parsed = _last_of_each_key(OverridesParser.create().parse_overrides(list(overrides)))
    sweeps = {
        override.key_or_group: axis_values(override, composer.groups) for override in parsed if override.is_sweep_override()
    }
    scalars = [(override.key_or_group, str(override.input_line)) for override in parsed if not override.is_sweep_override()]
    pinned = {key for key, _ in scalars}
    adding = [override for override in parsed if _adds_axis(override)]
    scalars += [(override.key_or_group, _added(override, sweeps[override.key_or_group][0])) for override in adding]

    @cache
    def composed(*words: str) -> Composed:
        return compose_words(composer.compose, words)

    def chosen(stage: Stage) -> list[str]:
        return [*(word for key, word in scalars if key not in stage.overrides), *stage.words]

    def expand(stage: Stage, choices: dict[str, str]) -> list[Part]:
        config, words = composed(*chosen(stage), *(f"{group}={choice}" for group, choice in choices.items()))
        shipped = {**(config.axes or {}), **stage.axes}
        axes = {key: parse_axis(key, value, composer.groups) for key, value in shipped.items() if key not in pinned} | sweeps
        axes |= {key: [stage.overrides[key]] for key in axes if key in stage.overrides}
        for group, values in axes.items():
            if group in {*composer.groups, *words} and group not in choices:
                options = dict.fromkeys("null" if value is None else str(value) for value in values)
                return [part for option in options for part in expand(stage, {**choices, group: option})]
        part = make_part(config, words, composer.groups, axes, frozenset(shipped) | frozenset(sweeps))
        labels = {key: parse_axis(key, value, composer.groups) for key, value in stage.labels.items() if key not in pinned}
        return [part.in_stage(stage.name, labels, stage.first) if stage.name else part]

    config, _ = composed(*chosen(Stage()))
    parts = [part for stage in read_stages(config.stages) for part in expand(stage, {})]
    return Sweep(tuple(parts), config)


def _last_of_each_key(parsed: Sequence[Override]) -> list[Override]:
    """Return the overrides without those that a later `key=value` of the same key replaces."""
    last = {override.key_or_group: override for override in parsed}
    plain = [override for override in parsed if not (override.is_add() or override.is_force_add() or override.is_delete())]
    return [override for override in parsed if override not in plain or last[override.key_or_group] is override]


def _adds_axis(override: Override) -> bool:
    return override.is_sweep_override() and (override.is_add() or override.is_force_add())


def _added(override: Override, value: Any) -> str:
    prefix = "++" if override.is_force_add() else "+"
    return f"{prefix}{override.key_or_group}={'null' if value is None else value}"
