"""A named entry of a sweep, a figure or a claim: its kind, and the options that the kind takes."""

from __future__ import annotations

import reprlib
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from ddlab.errors import ConfigError, suggest

Kind = TypeVar("Kind")


# Declared type of an option -> the classes of its values, and what they are in words.
TYPES: dict[str, tuple[Any, str]] = {
    "str": (str, "text"),
    "bool": (bool, "true or false"),
    "int": (int, "a whole number"),
    "float": ((int, float), "a number"),
    "Sequence": ((list, tuple), "a list"),
    "Mapping": (Mapping, "a mapping, column: value"),
}


def choose(
    entry: str, word: str, kinds: Mapping[str, type[Kind]], options: Mapping[str, Any]
) -> tuple[type[Kind], dict[str, Any]]:
    """Return the class of an entry and its options.

    Args:
        entry: its dotted key, such as "figures.risk".
        word: the option that names the kind.
        kinds: name -> dataclass, whose fields are the options.
        options: of the entry, the kind among them.

    Raises:
        ConfigError: no mapping, an unknown kind or option (the line lists the known ones), or a value of another type.
    """
    if not isinstance(options, Mapping):
        raise ConfigError(f"{entry}={shown(options)}: must be a mapping with a {word}, one of {', '.join(kinds)}")
    rest = dict(options)
    name = rest.pop(word, None)
    if not isinstance(name, str) or name not in kinds:
        raise ConfigError(f"{entry}.{word}={shown(name)}: no such {word}. {suggest(shown(name), kinds)}")
    check_options(entry, name, kinds[name], rest)
    return kinds[name], rest


def check_options(entry: str, name: str, kind: type, options: Mapping[str, Any]) -> None:
    """Raise `ConfigError` for an option that a kind, a dataclass, does not have, or whose value is of another type."""
    known = {field.name: str(field.type) for field in fields(kind)}
    for option, value in options.items():
        if option not in known:
            raise ConfigError(f"{entry}.{shown(option)}: no such option of {name}. {suggest(shown(option), known, most=24)}")
        optional = known[option].endswith(" | None")
        allowed, words = TYPES[known[option].removesuffix(" | None").partition("[")[0]]
        if value is None and optional:
            continue
        of_type = isinstance(value, allowed) and isinstance(value, bool) == (allowed is bool)
        if not of_type or (isinstance(value, int | float) and not is_number(value) and allowed is not bool):
            raise ConfigError(f"{entry}.{option}={shown(value)}: must be {words}{' or null' if optional else ''}")


def is_number(value: Any) -> bool:
    """Return whether a value of an option is a finite number, that a float can hold."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


class _Short(reprlib.Repr):
    """Few levels and elements: YAML's aliases make huge values of small files."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxlist, self.maxdict = 3, 4, 4

    def repr_int(self, x: int, *_: int) -> str:
        return repr(x) if abs(x) <= sys.float_info.max else "a number too large"


def shown(value: Any) -> str:
    """Return a value as text that is short, however large or deeply nested the value is."""
    return textwrap.shorten(value if isinstance(value, str) else _Short().repr(value), 120, placeholder=" ...")
