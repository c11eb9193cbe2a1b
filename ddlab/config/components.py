"""From the name of a component to its class, and from values to the component."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from functools import cache
from typing import Any

from ddlab.errors import ConfigError, inside, one_line

TARGET = "_target_"


def component_class(key: str, target: Any) -> type:
    """Return the dataclass that a `_target_` names.

    A component of ddlab goes by its public name, such as ``ddlab.models.MLP``, whatever file it lies in.

    Raises:
        ConfigError: there is none.
    """
    return _imported(key, str(target))


@cache
def _imported(key: str, target: str) -> type:
    module, _, name = target.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception as error:
        raise ConfigError(f"{key}.{TARGET}={target}: cannot be imported ({one_line(error)})") from error
    if not (isinstance(found, type) and dataclasses.is_dataclass(found)):
        raise ConfigError(f"{key}.{TARGET}={target}: must be a dataclass; its fields are the component's config")
    public = public_name(found)
    if target.startswith("ddlab.") and target != public:
        raise ConfigError(f"{key}.{TARGET}={target}: goes by its public name, {public}")
    return found


def public_name(cls: type) -> str:
    """Return the `_target_` of a component: of ddlab's own the package and the class, of a user's the module and the class."""
    package = ".".join(cls.__module__.split(".")[:2]) if cls.__module__.startswith("ddlab.") else cls.__module__
    return f"{package}.{cls.__qualname__}"


def is_component(value: Any) -> bool:
    """Whether a value is a component."""
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def make(key: str, node: Mapping[str, Any]) -> Any:
    """Make what a node of a config says: a component where it has a `_target_`, and else a dictionary; nodes in it likewise."""
    made = {name: make(f"{key}.{name}", value) if isinstance(value, Mapping) else value for name, value in node.items()}
    if TARGET not in node:
        return made
    cls = component_class(key, made.pop(TARGET))
    with inside(cls):
        return cls(**made)
