"""The name of a sweep in a command's words."""

from __future__ import annotations

from collections.abc import Sequence

from ddlab.config import catalog
from ddlab.errors import ConfigError


def name_first(command: str, arguments: Sequence[str]) -> tuple[str, list[str]]:
    """Return the sweep's name or path, which comes first, and the other words.

    Raises:
        ConfigError: something else comes first.
    """
    if not arguments or arguments[0].startswith("-") or "=" in arguments[0]:
        known = ", ".join(sorted(catalog.sweep_files()))
        raise ConfigError(f"ddlab {command}: needs a sweep's name or path first; known: {known}")
    return arguments[0], list(arguments[1:])


def name_only(command: str, arguments: Sequence[str]) -> str:
    """Return the sweep's name or path, the one word that a command takes.

    Raises:
        ConfigError: there are others.
    """
    name, rest = name_first(command, arguments)
    if rest:
        raise ConfigError(f"ddlab {command}: takes one name; got '{rest[0]}' too")
    return name
