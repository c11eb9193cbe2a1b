"""What is in each kind of stored table: its columns, checked when it is read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ddlab.store.sealed import Damaged, read_table

# Columns of plan.parquet -> their types; JSON: `choices`, `config`, and `parents` (trial_id, step or null, with its optimizer?).
PLAN = {
    "trial_id": str,
    "weights_id": str,
    "pack": int,
    "config": str,
    "choices": str,
    "num_params": int,
    "num_train": int,
    "num_outputs": int,
    "flops": float,
    "estimated_seconds": float,
    "level": int,
    "parents": str,
    "room": int,
}

# Columns of an outcome that are read here.
OUTCOME = {"trial_id": str, "status": str, "last_step": int, "num_rows": int, "seconds": float}

# Columns of a part of the curves that are read here.
CURVES = {"trial_id": str, "step": int}


TYPES: dict[type, tuple[Callable[[pa.DataType], bool], ...]] = {
    str: (pa.types.is_string, pa.types.is_large_string),
    int: (pa.types.is_integer,),
    float: (pa.types.is_floating, pa.types.is_integer),
}


def typed_table(table: pa.Table, columns: Mapping[str, type]) -> pa.Table:
    """Return a table that has been checked to have some columns, each of a type."""
    for name, kind in columns.items():
        if name not in table.column_names:
            raise Damaged(f"no column {name}")
        if not any(is_kind(table.schema.field(name).type) for is_kind in TYPES[kind]):
            raise Damaged(f"column {name} is not of type {kind.__name__}")
    return table


def read_outcome(path: Path) -> tuple[pa.Table, dict[str, Any]]:
    """Return the rows of a finished pack, and what is known of its run."""
    table = typed_table(read_table(path), OUTCOME)
    try:
        about = json.loads((table.schema.metadata or {}).get(b"ddlab", b"{}"))
    except ValueError as error:
        raise Damaged(str(error)) from error
    if not isinstance(about, dict) or not isinstance(about.get("num_parts"), int):
        raise Damaged("it says nothing of its parts")
    if not all(isinstance(value, int | float) for key, value in about.items() if key.endswith(("_seconds", "_steps"))):
        raise Damaged("its times are no numbers")
    return table, about


def row_counts(path: Path) -> Counter[str]:
    """Return how many rows each trial has in a file."""
    counts = typed_table(read_table(path, ["trial_id"]), {"trial_id": str})["trial_id"].value_counts()
    return Counter({count["values"]: count["counts"] for count in counts.to_pylist()})


def curve_table(columns: Mapping[str, Any]) -> pa.Table:
    """Return the table of a part of the curves; columns [rows] or [rows, n]."""
    arrays = {}
    for name, column in columns.items():
        array = np.asarray(column)
        arrays[name] = _lists(array) if array.ndim > 1 else pa.array(column)
    return pa.table(arrays)


def _lists(array: np.ndarray) -> pa.Array:
    """Return a vector for each row, without an object for each."""
    bounds = np.arange(len(array) + 1, dtype=np.int32) * np.int32(array.shape[1])
    return pa.ListArray.from_arrays(bounds, array.ravel())
