"""From the command line's overrides to packs, and packs to a Hydra launcher.

Hydra would compose every trial. Here each combination of *structural* choices (config groups) is composed once, each distinct
value of a leaf axis is type-checked once, and the table is expanded in `plan`. The jobs that Hydra launches are packs.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, fields
from fractions import Fraction
from functools import cache
from types import MappingProxyType
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override, QuotedString, RangeSweep, Transformer
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ddlab.config import (
    Config,
    Leaf,
    Leaves,
    Mark,
    Science,
    build,
    build_measures,
    check,
    check_names,
    component_class,
    declarations,
    flatten,
    load_leaves,
    one_line,
    plain,
    resolved,
    section,
    train_settings,
    typed,
    width_key,
)
from ddlab.data import Spec, describe
from ddlab.errors import ConfigError, inside, suggest
from ddlab.models import FeatureModel, settle_width, size_of
from ddlab.plan import MOST_TRIALS, Part, Size, is_exact

# The leaf of a model that asks for a number of parameters instead of a width.
NUM_PARAMS = "model.num_params"


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
    sweeps = {override.key_or_group: _values(override, composer) for override in parsed if override.is_sweep_override()}
    scalars = [str(override.input_line) for override in parsed if not override.is_sweep_override()]
    scalars += [_added(override, sweeps[override.key_or_group][0]) for override in parsed if _adds_axis(override)]
    pinned = {override.key_or_group for override in parsed if not override.is_sweep_override()}
    first: list[DictConfig] = []

    def expand(choices: dict[str, str]) -> list[Part]:
        config = composer.compose([*scalars, *(f"{group}={choice}" for group, choice in choices.items())])
        check_names(config)
        first.append(config)
        shipped = config.axes or {}
        axes = {key: _parse_axis(key, value, composer) for key, value in shipped.items() if key not in pinned} | sweeps
        for group, values in axes.items():
            if group in composer.groups and group not in choices:
                options = dict.fromkeys(map(str, values))
                return [part for option in options for part in expand({**choices, group: option})]
        return [_make_part(config, composer, axes, frozenset(shipped) | frozenset(sweeps))]

    parts = expand({})
    return Sweep(tuple(parts), first[0])


def _last_of_each_key(parsed: Sequence[Override]) -> list[Override]:
    """Return the overrides without those that a later `key=value` of the same key replaces."""
    last = {override.key_or_group: override for override in parsed}
    plain = [override for override in parsed if not (override.is_add() or override.is_force_add() or override.is_delete())]
    return [override for override in parsed if override not in plain or last[override.key_or_group] is override]


def _adds_axis(override: Override) -> bool:
    return override.is_sweep_override() and (override.is_add() or override.is_force_add())


def _added(override: Override, value: Any) -> str:
    prefix = "++" if override.is_force_add() else "+"
    return f"{prefix}{override.key_or_group}={value}"


def _values(override: Override, composer: Composer) -> list[Any]:
    """Return the values of a sweep override, parsed but not yet type-checked."""
    if override.is_interval_sweep():
        raise ConfigError(f"{override.input_line}: interval() has no finite list of values; use a list, range() or choice()")
    key, value = override.key_or_group, override.value()
    if isinstance(value, Glob):
        options = value.filter(composer.groups.get(key, []))
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


def _parse_axis(key: str, value: Any, composer: Composer) -> list[Any]:
    """Return the values of an axis of the sweep's YAML: a list, a scalar, or a string in Hydra's sweep grammar."""
    if isinstance(value, ListConfig):
        values = OmegaConf.to_container(value, resolve=True)
        assert isinstance(values, list)
        return _not_empty(key, values)
    if not isinstance(value, str):
        return [value]
    (override,) = OverridesParser.create().parse_overrides([f"{key}={value}"])
    return _values(override, composer) if override.is_sweep_override() else [_plain(override.value())]


def _make_part(config: DictConfig, composer: Composer, axes: Mapping[str, list[Any]], varied: frozenset[str]) -> Part:
    leaf_axes = {key: values for key, values in axes.items() if key not in composer.groups}
    _fill_missing(config, leaf_axes)
    science = typed(config)
    base = resolved(science)
    places = {key for key, declared in declarations(base).items() if declared.mark is Mark.PLACE}
    if not places & set(leaf_axes):
        base = _frozen({**base, **_resolved_data(base)})
    aliases, others = _interpolations(science, base, leaf_axes)
    width = width_key(base)
    solved = [alias for alias, source in aliases.items() if source == width]
    if solved and (base.get(NUM_PARAMS) is not None or NUM_PARAMS in leaf_axes):
        raise ConfigError(f"{solved[0]}: follows {width}, which {NUM_PARAMS} solves for; give widths instead")
    checked = {key: _check_axis(deepcopy(science), base, key, values) for key, values in leaf_axes.items()}
    followed = {
        alias: (axis, dict(zip(checked[axis], _check_axis(deepcopy(science), base, alias, list(checked[axis])), strict=True)))
        for alias, axis in aliases.items()
        if axis in checked
    }
    groups = config.hydra.runtime.choices
    structural = {group: groups[group] for group in varied if group in composer.groups}
    named = {group: groups[group] for group in ("data", "model", "optimizer") if group in groups}
    fixed = {key: value for key, value in base.items() if aliases.get(key, key) not in varied and key not in varied | places}
    return Part(
        choices=_frozen({**named, **structural}),
        structural=_frozen(structural),
        base=base,
        fixed=_frozen(fixed),
        axes=_frozen(checked),
        aliases=_frozen(followed),
        at=_resolver(science) if others else None,
    )


def _fill_missing(config: DictConfig, axes: Mapping[str, list[Any]]) -> None:
    """Give a mandatory key that is an axis its first value, so that the base config is whole."""
    for key, values in axes.items():
        owner, _, name = key.rpartition(".")
        node = OmegaConf.select(config, owner) if owner else config
        if isinstance(node, DictConfig) and OmegaConf.is_missing(node, name) and values:
            OmegaConf.update(config, key, values[0], merge=False)


def _frozen(mapping: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(sorted(mapping.items())))


def _check_axis(science: DictConfig, base: Leaves, key: str, values: list[Any]) -> tuple[Any, ...]:
    """Return the values of a leaf axis converted to its type, each checked against its declared range."""
    if key not in base:
        science_keys = {field.name for field in fields(Science)}
        if key.split(".")[0] in {field.name for field in fields(Config)} - science_keys:
            raise ConfigError(f"axis '{key}': only {', '.join(sorted(science_keys))} can be swept")
        raise ConfigError(f"unknown key '{key}'. {suggest(key, base)}".rstrip())
    owner, _, name = key.rpartition(".")
    node = OmegaConf.select(science, owner) if owner else science
    declared = declarations(base)[key]
    before = node[name]
    kept_as_is: set[type] = set()
    converted = []
    for value in values:
        found = plain(value)
        if type(value) not in kept_as_is:
            found = _typed_value(node, name, key, value)
            if type(found) is type(value) and isinstance(value, int | float):
                kept_as_is.add(type(value))  # OmegaConf takes long over each: what it does to one number it does to all
        declared.check(key, found)
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


def _interpolations(science: DictConfig, base: Leaves, axes: Iterable[str]) -> tuple[dict[str, str], bool]:
    """Return the leaves that are another leaf's value, alias -> the leaf it comes from, and whether there are others.

    An axis has values of its own, whatever its interpolation says.
    """
    unresolved = OmegaConf.to_container(science, resolve=False)
    assert isinstance(unresolved, dict)
    flat = flatten({str(key): value for key, value in unresolved.items()})
    found = {key: value for key, value in flat.items() if key not in axes and isinstance(value, str) and "${" in value}
    sources = {key: match[1] for key, value in found.items() if (match := re.fullmatch(r"\$\{([\w.]+)\}", value))}
    roots = {}
    for alias, source in sources.items():
        while source in sources:
            source = sources[source]
        if source in base:
            roots[alias] = source
    return roots, len(roots) < len(found)


def _resolver(science: DictConfig) -> Callable[[Mapping[str, Any]], Leaves]:
    """Return a function that sets some leaves and resolves the interpolations that they feed."""
    science = deepcopy(science)

    def at(point: Mapping[str, Any]) -> Leaves:
        config = deepcopy(science)
        for key, value in point.items():
            OmegaConf.update(config, key, value)
        return resolved(config)

    return at


def settle(leaves: Leaves) -> tuple[Leaves, Size]:
    """Check the leaves of one shape, fill in what is derived, and measure its size.

    Raises:
        ConfigError: a value out of range, or values at odds with each other.
    """
    check(leaves)
    leaves = {**leaves, **_resolved_data(leaves)}
    spec = describe(build(leaves, "data"))
    model = build(leaves, "model")
    _check_together(leaves, spec, model)
    if wanted := leaves.get(NUM_PARAMS):
        key, declared = _solved_for(leaves)
        width = settle_width(model, spec, wanted, key.removeprefix("model."), int(declared.high or wanted))
        leaves = {**leaves, key: width, NUM_PARAMS: None}
    shape = {key: value for key, value in leaves.items() if key.startswith("model.")}
    return leaves, _size(json.dumps(shape, sort_keys=True), spec)


def _resolved_data(leaves: Leaves) -> Leaves:
    """Return the leaves of the data that it fills in itself, such as the checksum of a file."""
    data = build(leaves, "data")
    with inside(data, "resolve"):
        return {f"data.{name}": plain(value) for name, value in data.resolve().items()}


def _solved_for(leaves: Leaves) -> tuple[str, Leaf]:
    """Return the model's leaf that a wanted parameter count is solved for, and its declaration."""
    key = width_key(leaves)
    if key is None or not key.startswith("model."):
        model = component_class("model", leaves["model._target_"]).__name__
        raise ConfigError(f"{NUM_PARAMS}={leaves[NUM_PARAMS]}: {model} has no field of mark WIDTH to solve for")
    return key, declarations(leaves)[key]


def _check_together(leaves: Leaves, spec: Spec, model: Any) -> None:
    """Raise `ConfigError` where data, model, optimizer, training and measures are at odds with each other."""
    train = train_settings(leaves)
    exact = is_exact(leaves)
    if train.batch_size is not None and train.batch_size > spec.num_train:
        raise ConfigError(f"train.batch_size={train.batch_size}: must be at most the {spec.num_train} training examples")
    if spec.regression and train.loss != "mse":
        raise ConfigError(f"train.loss={train.loss}: must be mse, for real targets")
    if spec.test_nodes and not getattr(model, "LINEAR_IN_INPUTS", False):
        raise ConfigError("data.num_test=null: is the exact risk of models linear in their inputs only; give a number")
    if exact:
        wanted = {"train.loss": "mse", "train.batch_size": None, "train.dtype": "float64"}
        for key, value in wanted.items():
            if leaves[key] != value:
                raise ConfigError(f"{key}={leaves[key]}: must be {value or 'null'} for a closed-form optimizer (train=exact)")
        if not isinstance(model, FeatureModel):
            raise ConfigError(
                "optimizer: a closed form needs a model linear in its parameters, such as linear or random_features"
            )
    for name, measure in zip(section(leaves, "measures"), build_measures(leaves), strict=True):
        if getattr(measure, "needs_spectrum", False) and not exact:
            raise ConfigError(f"measures.{name}: is a measure of the exact solver; measures.{name}=null turns it off")


@cache
def _size(model_config: str, spec: Spec) -> Size:
    return size_of(build(load_leaves(model_config), "model"), spec)


def base_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return the keys of two base configs that differ, in words."""
    keys = [key for key in {**old, **new} if old.get(key) != new.get(key) or (key in old) != (key in new)]
    return [f"{key}: {old.get(key, 'absent or an axis')} stored, {new.get(key, 'absent or an axis')} now" for key in keys]
