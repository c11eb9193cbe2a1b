"""A named entry of a sweep, a figure or a claim: its kind, and the options that the kind takes.

A kind is a frozen dataclass whose fields are its options, declared as the fields of components are (`ddlab.config.declare`), but
with their defaults in the class.
"""

from __future__ import annotations

import dataclasses
import reprlib
import sys
import textwrap
from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from ddlab.config.declare import Leaf, declared
from ddlab.errors import ConfigError, suggest

Kind = TypeVar("Kind")

# Type of an option -> the classes of its values, and what they are in words.
TYPES: dict[Any, tuple[Any, str]] = {
    str: (str, "text"),
    bool: (bool, "true or false"),
    int: (int, "a whole number"),
    float: ((int, float), "a number"),
    Sequence: ((list, tuple), "a list"),
    Mapping: (Mapping, "a mapping"),
}


def option(doc: str, default: Any = dataclasses.MISSING, **allowed: Any) -> Any:
    """Declare an option of a recipe or a claim.

    Args:
        doc: what it means.
        default: where it is not given; without one it must be. Of a mapping: an empty one, as `dict`.
        allowed: its values, as in `Leaf`: low, high, above, below, choices.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Histogram:
        ...     bins: int = option("number of bins", 10, low=1)
    """
    given = {"default_factory": default} if default is dict else {"default": default}
    return dataclasses.field(metadata={"leaf": Leaf(doc, **allowed)}, **given)


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
        ConfigError: no mapping, an unknown kind or option (the line lists the known ones), or a value that is not allowed.
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
    """Raise `ConfigError` for an option that a kind does not have, needs, or cannot have at that value."""
    types, declarations = get_type_hints(kind), declared(kind)
    for key, value in options.items():
        if key not in declarations:
            known = suggest(shown(key), declarations, most=24)
            raise ConfigError(f"{entry}.{shown(key)}: no such option of {name}. {known}")
        _check_type(f"{entry}.{key}", types[key], value, declarations[key].doc)
        declarations[key].check(f"{entry}.{key}", shown(value) if isinstance(value, str) else value)
    fields = dataclasses.fields(kind)
    needed = [field.name for field in fields if field.default is field.default_factory is dataclasses.MISSING]
    if missing := [key for key in needed if key not in options]:
        raise ConfigError(f"{entry}: {name} needs {', '.join(needed)}; there is no {missing[0]}")


def _check_type(key: str, hint: Any, value: Any, doc: str) -> None:
    """Raise `ConfigError` for a value that is not of the type that an option is annotated with; of a mapping it says of what."""
    members = [member for member in get_args(hint) if member is not NoneType]
    optional = NoneType in get_args(hint)
    base = members[0] if optional and len(members) == 1 else hint
    base = get_origin(base) or base
    if base not in TYPES:
        raise ConfigError(f"{key}: an option is text, a number, true or false, a list or a mapping; it is declared as {hint}")
    allowed, words = TYPES[base]
    if value is None and optional:
        return
    of_type = isinstance(value, allowed) and isinstance(value, bool) == (allowed is bool)
    if not of_type or (isinstance(value, int | float) and not is_number(value) and allowed is not bool):
        holds = f" ({doc})" if base is Mapping else ""
        raise ConfigError(f"{key}={shown(value)}: must be {words}{holds}{' or null' if optional else ''}")


def is_number(value: Any) -> bool:
    """Return whether a value of an option is a finite number, that a float can hold."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


class _Short(reprlib.Repr):
    """Few levels and elements: YAML's aliases make huge values of small files."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxlist, self.maxdict = 3, 4, 4

    def repr_NoneType(self, *_: Any) -> str:
        return "null"

    def repr_int(self, x: int, *_: int) -> str:
        return repr(x) if abs(x) <= sys.float_info.max else "a number too large"


def shown(value: Any) -> str:
    """Return a value as text that is short, however large or deeply nested the value is."""
    return textwrap.shorten(value if isinstance(value, str) else _Short().repr(value), 120, placeholder=" ...")
