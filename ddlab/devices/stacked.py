"""The trials of a pack as one value of a compiled program: what they share once, their numbers stacked.

Every component is a pytree of its numbers: the fields of mark TRACED and SIZE, and those of the components in it. Its static
fields belong to the structure of the tree, so that trials of one structure run one program. Fields of the host are in no program.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import jax
import numpy as np
from jax.tree_util import GetAttrKey

from ddlab.config.components import is_component
from ddlab.config.declare import Mark, declared
from ddlab.config.schema import Science
from ddlab.config.trial import Leaves, parse


class _Fixed:
    """Static fields, which may hold lists and dictionaries, as a part of a tree's structure."""

    def __init__(self, values: Mapping[str, Any]):
        self.values = values

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Fixed) and self.values == other.values

    def __hash__(self) -> int:
        return hash(repr(self.values))


class Absent(enum.Enum):
    """What stands in the place of a field that no program knows."""

    ON_HOST = "a field of mark HOST or PLACE: it acts before the program, or beside it"


def stacked(trials: Sequence[Leaves], dtype: str) -> Science:
    """Return the configs of trials that share their static leaves as one, each number an array [T].

    Args:
        trials: leaves of each trial.
        dtype: of the real numbers; integers are int32.
    """
    first = parse(trials[0])
    register(first)
    paths, structure = jax.tree_util.tree_flatten_with_path(first, is_leaf=lambda node: isinstance(node, tuple))
    keys = [jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in paths]
    return jax.tree.unflatten(structure, [column([leaves[key] for leaves in trials], dtype) for key in keys])


def column(values: Sequence[Any], dtype: str) -> np.ndarray:
    """Return numbers, or vectors of them, as an array: int32 where all are integers."""
    return np.array(values, np.int32 if np.array(values).dtype.kind in "iub" else dtype)


def register(value: Any) -> None:
    """Make pytrees of a component (or a config), and of the components in it."""
    if isinstance(value, Mapping):
        for item in value.values():
            register(item)
    elif is_component(value):
        cls: Any = type(value)
        _register_class(cls)
        for name in declared(cls):
            register(getattr(value, name))


@cache
def _register_class(cls: type[Any]) -> None:
    marks = {name: declaration.mark for name, declaration in declared(cls).items()}
    numbers = [name for name, mark in marks.items() if mark in (Mark.TRACED, Mark.SIZE)]
    static = [name for name, mark in marks.items() if mark is Mark.STATIC]
    absent = [name for name, mark in marks.items() if mark in (Mark.HOST, Mark.PLACE)]

    def flatten(component: Any) -> tuple[list[tuple[GetAttrKey, Any]], Any]:
        inner = [name for name in static if _holds_components(getattr(component, name))]
        fixed = _Fixed({name: getattr(component, name) for name in static if name not in inner})
        names = (*numbers, *inner)
        return [(GetAttrKey(name), getattr(component, name)) for name in names], (names, fixed)

    def unflatten(structure: Any, children: Iterable[Any]) -> Any:
        names, fixed = structure
        component: Any = object.__new__(cls)  # what is checked of the numbers was checked on the host
        fields = {**dict(zip(names, children, strict=True)), **fixed.values, **dict.fromkeys(absent, Absent.ON_HOST)}
        for name, value in fields.items():
            object.__setattr__(component, name, value)
        return component

    jax.tree_util.register_pytree_with_keys(cls, flatten, unflatten)


def _holds_components(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(is_component(item) for item in value.values())
    return is_component(value)
