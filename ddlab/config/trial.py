"""A trial's config, in its two forms.

Its *leaves* are a flat, immutable mapping from dotted keys to values, `{"model.width": 64, ...}`: what is composed, stored and
named. *Parsed*, it is a `Science`, whose components are made: what computes. `parse` goes from the one to the other.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any

from ddlab.config.components import TARGET, component_class, make
from ddlab.config.declare import ALWAYS, Leaf, Mark, declared
from ddlab.config.schema import SECTIONS, Science, Train
from ddlab.errors import ComponentError, inside

Leaves = Mapping[str, Any]


def flatten(node: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested mappings into dotted keys; lists stay whole, as tuples."""
    flat: dict[str, Any] = {}
    for name, value in node.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{key}.")
        else:
            flat[key] = plain(value)
    return flat


def plain(value: Any) -> Any:
    """Return a value as a leaf has it: equal values in one form, so lists as tuples, and zero without a sign."""
    if isinstance(value, list | tuple):
        return tuple(plain(item) for item in value)
    return value + 0.0 if isinstance(value, float) else value


def load_leaves(config: str) -> Leaves:
    """Return the leaves that a stored trial's canonical JSON holds."""
    return MappingProxyType({sys.intern(key): _shared(value) for key, value in json.loads(config).items()})


def _shared(value: Any) -> Any:
    """Return a leaf that JSON has held; equal words are kept once, for there may be many trials."""
    if isinstance(value, str):
        return sys.intern(value)
    return tuple(value) if isinstance(value, list) else value


def nested(leaves: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return what `flatten` flattened: nested dictionaries."""
    root: dict[str, Any] = {}
    for key, value in leaves:
        *path, last = key.split(".")
        node = root
        for part in path:
            node = node.setdefault(part, {})
        node[last] = value
    return root


def section(leaves: Leaves, name: str) -> dict[str, Any]:
    """Return the nested fields below `name`: `section(leaves, "train") == {"steps": ..., ...}`."""
    skipped = len(name) + 1
    return nested((key[skipped:], value) for key, value in leaves.items() if key.startswith(f"{name}."))


def parse(leaves: Leaves) -> Science:
    """Return a trial's config with its components made."""
    nodes = {"measures": {}, **nested(leaves.items())}
    made = {name: make(name, node) if isinstance(node, Mapping) else node for name, node in nodes.items()}
    return Science(**{**made, **{name: cls(**made.get(name, {})) for name, cls in SECTIONS.items()}})


def build(leaves: Leaves, name: str) -> Any:
    """Make the one component below `name`."""
    return make(name, section(leaves, name))


def train_settings(leaves: Leaves) -> Train:
    """Return the typed `train` section."""
    return Train(**build(leaves, "train"))


def declarations(leaves: Leaves) -> dict[str, Leaf]:
    """Return the `Leaf` of every key; fields of a user's class that declare none are static."""
    found = _declarations(_targets(leaves))
    return {key: found.get(key, STATIC) for key in leaves}


def _targets(leaves: Leaves) -> tuple[tuple[str, str], ...]:
    return tuple((key, value) for key, value in leaves.items() if key.endswith(f".{TARGET}"))


STATIC = Leaf("")


@cache
def _declarations(targets: tuple[tuple[str, str], ...]) -> dict[str, Leaf]:
    """Return the declarations of all keys of a config with these components."""
    owners = SECTIONS | {
        key.removesuffix(f".{TARGET}"): component_class(key.removesuffix(f".{TARGET}"), target) for key, target in targets
    }
    found = declared(Science) | {f"{owner}.{name}": leaf for owner, cls in owners.items() for name, leaf in declared(cls).items()}
    on_host = [owner for owner in owners if owner in found and found[owner].mark is Mark.HOST]
    return found | {f"{owner}.{TARGET}": Leaf("", Mark.HOST) for owner in on_host}


def named_trials(leaves: Leaves) -> dict[str, tuple[str, ...]]:
    """Return the leaves that name other trials, and those that they name."""
    found = {key: leaves[key] for key, declaration in declarations(leaves).items() if declaration.trial}
    return {key: value if isinstance(value, tuple) else (value,) for key, value in found.items() if value}


# The step of a trial's values, at which it begins where its clock goes on.
CLOCK = "start.values.step"


# What a cut takes out as a whole, of which a network must have some.
UNIT = "start.mask.unit"


def clock_of(leaves: Leaves) -> int:
    """Return the step at which a trial begins: 0, or where its clock goes on, that of its values."""
    return int(leaves[CLOCK]) if leaves["start.go_on"] else 0


def marked(leaves: Leaves, *marks: Mark) -> tuple[str, ...]:
    """Return the leaves of some marks."""
    return tuple(key for key, declaration in declarations(leaves).items() if declaration.mark in marks)


def joined(trials: Sequence[Leaves]) -> Leaves:
    """Return the leaves that the trials of a pack are padded to: of each size the largest, and else those of the first."""
    first = trials[0]
    sizes = [key for key in marked(first, Mark.SIZE) if first[key] is not None]
    return {**first, **{key: max(leaves[key] for leaves in trials) for key in sizes}}


def seeds(leaves: Leaves) -> tuple[str, ...]:
    """Return the leaves that are seeds."""
    return tuple(key for key, declaration in declarations(leaves).items() if declaration.seed)


def completed(leaves: Leaves) -> Leaves:
    """Return stored leaves with the knobs that were added since to their components, at the values at which these are off."""
    found = _declarations(_targets(leaves))
    added = {key: leaf.off for key, leaf in found.items() if leaf.off is not ALWAYS and f"{key}.{TARGET}" not in leaves}
    return {**added, **leaves}


def effective(leaves: Leaves) -> dict[str, Any]:
    """Return the leaves that do something: all but those at their `off` value."""
    declared_of = declarations(leaves)
    return {key: value for key, value in leaves.items() if not declared_of[key].is_off(value)}


def resolved_data(leaves: Leaves) -> Leaves:
    """Return the leaves of the data that it fills in itself, such as the checksum of a file.

    Raises:
        ConfigError: it cannot, as one of its values is outside the declared range.
        ComponentError: it cannot.
    """
    data = build(leaves, "data")
    try:
        with inside(data, "resolve"):
            return {f"data.{name}": plain(value) for name, value in data.resolve().items()}
    except ComponentError:
        _check_ranges({key: value for key, value in leaves.items() if key.startswith("data.")})
        raise


def check(leaves: Leaves) -> None:
    """Raise `ConfigError` for the first leaf outside its declared range, and for components at odds with themselves."""
    _check_ranges(leaves)
    for name in components(leaves):
        check_component(leaves, name)


def _check_ranges(leaves: Leaves) -> None:
    for key, declaration in declarations(leaves).items():
        declaration.check(key, leaves[key])


def components(leaves: Leaves) -> list[str]:
    """Return the components of a trial by their dotted names."""
    return [key.removesuffix(f".{TARGET}") for key in leaves if key.endswith(f".{TARGET}")]


def check_component(leaves: Leaves, name: str) -> None:
    """Raise `ConfigError` where a component is at odds with itself."""
    built = build(leaves, name)
    if hasattr(built, "check"):
        with inside(built, "check"):
            built.check()
