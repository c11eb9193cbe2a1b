"""Values for the fields of a component that is tried out: small ones, and others that a trial of the same pack may have."""

from __future__ import annotations

import math
import types
from collections.abc import Iterator
from typing import Any, Union, get_args, get_origin

from ddlab.config.declare import Leaf, Mark
from ddlab.errors import ConfigError

# The units of the trial that is tried, how much wider each of its neighbours in the pack is (even: what must be even is then even
# in all trials), and the most of any other size (a prime, as a modulus must be for some measures).
WIDTH, WIDER, MOST = 4, 2, 11


def small_value(key: str, declared: Leaf, kind: Any) -> Any:
    """Return a small value that a field may have: null where it may be null, or else one in its range.

    Args:
        key: of the field in the config.
        declared: its range.
        kind: its type.

    Raises:
        ConfigError: none can be guessed.
    """
    if get_origin(kind) in (Union, types.UnionType) and type(None) in get_args(kind):
        return None
    for value in _guesses(declared, kind):
        if _allowed(declared, value):
            return value
    name = key.rpartition(".")[2]
    shown = getattr(kind, "__name__", str(kind))
    raise ConfigError(f"{key}: has no value; give {name}=VALUE ({shown}{declared.doc and f': {declared.doc}'})")


def _guesses(declared: Leaf, kind: Any) -> Iterator[Any]:
    if declared.choices:
        yield declared.choices[0]
    elif kind is bool:
        yield False
    elif kind in (int, float):
        preferred = (WIDTH, 2, 1, 0) if kind is int else (0.1, 0.5, 1.0, 0.0)
        edges = (declared.low, declared.high, declared.above, declared.below)
        bounds = [edge for edge in edges if edge is not None and math.isfinite(edge)]
        yield from preferred
        yield from (kind(bound + shift) for bound in bounds for shift in (0, 1, -1))
        yield from (kind(sum(bounds) / 2) for _ in bounds[1:])


def shrunk(key: str, declared: Leaf, value: Any) -> Any:
    """Return a value of a leaf that keeps arrays and loops small: whole numbers that decide shapes or code are cut."""
    if declared.mark not in (Mark.STATIC, Mark.SIZE) or not isinstance(value, int) or isinstance(value, bool):
        return value
    small = min(value, WIDTH if declared.mark is Mark.SIZE and key.startswith("model.") else MOST)
    return small if _allowed(declared, small) else value


def other_values(declared: Leaf, value: Any) -> list[Any]:
    """Return two other values that a leaf of mark TRACED, SIZE or HOST may have in the same pack; fewer where there are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return []
    guesses: list[Any]
    if declared.mark is Mark.SIZE and isinstance(value, int):
        guesses = [value + WIDER, value + 2 * WIDER]
    elif isinstance(value, int):
        guesses = [value + 1, value + 2, value - 1, value - 2]
    else:
        guesses = [value / 2, value * 1.5, value + 0.1, value + 0.2, value / 3]
    return [guess for guess in dict.fromkeys(guesses) if guess != value and _allowed(declared, guess)][:2]


def _allowed(declared: Leaf, value: Any) -> bool:
    try:
        declared.check("", value)
    except ConfigError:
        return False
    return True
