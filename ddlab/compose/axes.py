"""The axes of a sweep: values in Hydra's sweep grammar, each converted to the type of its leaf and checked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override, QuotedString, RangeSweep, Transformer
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ddlab.config.declare import declared
from ddlab.config.schema import Config, Science
from ddlab.config.trial import Leaves, declarations, plain
from ddlab.errors import ConfigError, one_line, suggest
from ddlab.plan.trials import MOST_TRIALS

Groups = Mapping[str, Sequence[str]]


def axis_values(override: Override, groups: Groups) -> list[Any]:
    """Return the values of a sweep override, parsed but not yet type-checked."""
    if override.is_interval_sweep():
        raise ConfigError(f"{override.input_line}: interval() has no finite list of values; use a list, range() or choice()")
    key, value = override.key_or_group, override.value()
    if isinstance(value, Glob):
        options = value.filter(groups.get(key, ()))
        if not options:
            raise ConfigError(f"{override.input_line}: glob() matches no option of the config group {key}")
        return options
    try:
        if isinstance(value, RangeSweep):
            _check_length(str(override.input_line), value)
        return _not_empty(key, [_plain(value) for value in override.sweep_iterator(transformer=Transformer.identity)])
    except (ValueError, TypeError, HydraException) as error:
        raise ConfigError(f"{override.input_line}: {one_line(error)}") from error


def _not_empty(key: str, values: list[Any]) -> list[Any]:
    if not values:
        raise ConfigError(f"{key}: an axis needs at least one value")
    return values


def _check_length(text: str, numbers: Any) -> None:
    """Raise `ConfigError` for a range of more values than a sweep may have trials, or without end, before they are listed."""
    limits = (numbers.start, numbers.stop, numbers.step)
    if not all(math.isfinite(number) for number in limits) or numbers.step == 0:
        raise ConfigError(f"{text}: range() needs finite numbers, and a step that is not 0")
    start, stop, step = map(Fraction, limits)
    count = math.ceil((stop - start) / step)
    if count > MOST_TRIALS:
        raise ConfigError(f"{text}: has {count:,} values; an axis has at most {MOST_TRIALS:,}")


def _plain(value: Any) -> Any:
    if isinstance(value, QuotedString):
        return value.text
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def parse_axis(key: str, value: Any, groups: Groups) -> list[Any]:
    """Return the values of an axis of the sweep's YAML: a list, a scalar, or a string in Hydra's sweep grammar."""
    if isinstance(value, ListConfig | list):
        values = OmegaConf.to_container(value, resolve=True) if isinstance(value, ListConfig) else value
        assert isinstance(values, list)
        return _not_empty(key, values)
    if not isinstance(value, str):
        return [value]
    (override,) = OverridesParser.create().parse_overrides([f"{key}={value}"])
    return axis_values(override, groups) if override.is_sweep_override() else [_plain(override.value())]


def check_axis(science: DictConfig, base: Leaves, key: str, values: list[Any]) -> tuple[Any, ...]:
    """Return the values of a leaf axis converted to its type, each checked against its declared range."""
    if key not in base:
        swept = declared(Science).keys()
        if key.split(".")[0] in declared(Config).keys() - swept:
            raise ConfigError(f"axis '{key}': only {', '.join(sorted(swept))} can be swept")
        raise ConfigError(f"unknown key '{key}'. {suggest(key, base)}".rstrip())
    owner, _, name = key.rpartition(".")
    node = OmegaConf.select(science, owner) if owner else science
    declaration = declarations(base)[key]
    before = node[name]
    kept_as_is: set[type] = set()
    converted = []
    for value in values:
        found = plain(value)
        if type(value) not in kept_as_is:
            found = _typed_value(node, name, key, value)
            if type(found) is type(value) and isinstance(value, int | float):
                kept_as_is.add(type(value))  # OmegaConf takes long over each: what it does to one number it does to all
        declaration.check(key, found)
        converted.append(found)
    OmegaConf.update(node, name, before, merge=False)
    return tuple(converted)


def _typed_value(node: DictConfig, name: str, key: str, value: Any) -> Any:
    """Return a value as the field `name` of a typed node takes it."""
    try:
        OmegaConf.update(node, name, value, merge=False)  # converts an integer of a float quietly
        found = node[name]
    except OmegaConfBaseException as error:
        raise ConfigError(f"{key}={value}: {one_line(error)}") from error
    return plain(OmegaConf.to_container(found) if OmegaConf.is_config(found) else found)
