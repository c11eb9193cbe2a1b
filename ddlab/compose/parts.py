"""From one composed config and its axes to a part of the sweep: typed, checked, interpolations followed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from types import MappingProxyType
from typing import Any

from omegaconf import DictConfig, OmegaConf

from ddlab.compose.axes import Groups, check_axis
from ddlab.compose.typed import resolved, typed
from ddlab.config.declare import Mark
from ddlab.config.trial import Leaves, declarations, effective, flatten, marked, resolved_data
from ddlab.errors import ConfigError
from ddlab.plan.shapes import NUM_PARAMS, Part


def make_part(
    config: DictConfig, words: Mapping[str, str], groups: Groups, axes: Mapping[str, list[Any]], varied: frozenset[str]
) -> Part:
    """Return a part of the sweep.

    Args:
        config: composed; interpolations not yet resolved.
        words: the components in it that were chosen by a word, as `ddlab.compose.words`.
        groups: config group -> its options.
        axes: key -> values, not yet typed.
        varied: the axes of the whole sweep, those that are pinned here too.

    Raises:
        ConfigError: a key or a value that is not allowed.
    """
    leaf_axes = {key: values for key, values in axes.items() if key not in {*groups, *words}}
    _fill_missing(config, leaf_axes)
    science = typed(config)
    base = resolved(science)
    places = {key for key, declared in declarations(base).items() if declared.mark is Mark.PLACE}
    if not places & set(leaf_axes):
        base = _frozen({**base, **resolved_data(base)})
    aliases, others = _interpolations(science, base, leaf_axes)
    sizes = marked(base, Mark.SIZE)
    solved = {alias: source for alias, source in aliases.items() if source in sizes and source.startswith("model.")}
    if solved and (base.get(NUM_PARAMS) is not None or NUM_PARAMS in leaf_axes):
        alias, size = next(iter(solved.items()))
        raise ConfigError(f"{alias}: follows {size}, which {NUM_PARAMS} solves for; give widths instead")
    checked = {key: check_axis(deepcopy(science), base, key, values) for key, values in leaf_axes.items()}
    followed = {
        alias: (axis, dict(zip(checked[axis], check_axis(deepcopy(science), base, alias, list(checked[axis])), strict=True)))
        for alias, axis in aliases.items()
        if axis in checked
    }
    choices = {**config.hydra.runtime.choices, **words}
    structural = {group: choices[group] for group in varied if group in {*groups, *words}}
    named = {group: choices[group] for group in ("data", "model", "optimizer", *words) if group in choices}
    set_by_others = {key for key in base if aliases.get(key, key) in varied or key in varied | places}
    fixed = {key: value for key, value in effective(base).items() if key not in set_by_others}
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


def _interpolations(science: DictConfig, base: Leaves, axes: Iterable[str]) -> tuple[dict[str, str], bool]:
    """Return the leaves that are another leaf's value, alias -> the leaf it comes from, and whether there are others.

    An axis has values of its own, whatever its interpolation says.
    """
    unresolved = OmegaConf.to_container(science, resolve=False)
    assert isinstance(unresolved, dict)
    flat = flatten({str(key): value for key, value in unresolved.items()})
    found = {key: value for key, value in flat.items() if key not in axes and "${" in str(value)}
    sources = {key: match[1] for key, value in found.items() if (match := re.fullmatch(r"\$\{([\w.]+)\}", str(value)))}
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
