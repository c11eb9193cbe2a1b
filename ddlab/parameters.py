"""Parameters of a network by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np


def named(tree: Any) -> dict[str, Any]:
    """Return the arrays of a pytree by their dotted names, such as "layers.0.weight"."""
    return {_name(path): array for path, array in jax.tree.leaves_with_path(tree)}


def replaced(tree: Any, name: str, array: jax.Array) -> Any:
    """Return a pytree with another array under a dotted name."""
    return jax.tree.map_with_path(lambda path, old: array if _name(path) == name else old, tree)


def filled(shapes: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """Return a pytree of shapes with arrays in their places, by dotted name, each cut to its shape."""

    def cut(path: Any, shape: Any) -> np.ndarray:
        return arrays[_name(path)][tuple(map(slice, shape.shape))]

    return jax.tree.map_with_path(cut, shapes)


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".").removesuffix(".value")
