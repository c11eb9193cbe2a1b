"""sweep.yaml of a results directory: what the sweep is, with a checksum in its last line."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ddlab.config.identity import SCHEMA_VERSION
from ddlab.errors import StoreError
from ddlab.files import DamagedPart, write_atomically
from ddlab.yaml_files import load_yaml

# What is in it -> its type, and what that is in words.
KEYS: dict[str, tuple[Any, str]] = {
    "name": (str, "a text"),
    "title": (str, "a text"),
    "paper": (str, "a text"),
    "shows": (str, "a text"),
    "figures": (dict, "a mapping"),
    "claims": (dict, "a mapping"),
    "parts": (list, "a list"),
}

# What is in each of its parts -> its type.
PART = {"structural": dict, "choices": dict, "base": dict, "seeds": list, "columns": dict}

# What is said of each column of the metrics, texts; and, of one that is known at the end of training only, that it is.
COLUMN, ALONG_PATH = {"label", "unit"}, "along_path"

SEAL = "# sha256 of the lines above: "
REMEDY = "the same `ddlab sweep` command makes it again"


def read_sweep_file(path: Path) -> dict[str, Any]:
    """Return the content of a sweep.yaml; one that has changed since it was written is reported.

    Raises:
        StoreError: none is there, it is damaged, or it was written by a newer ddlab.
    """
    text = _text(path)
    try:
        sweep = load_yaml(text)
        version = sweep["schema_version"]
        if not isinstance(version, int):
            raise TypeError("schema_version is no number")
    except (yaml.YAMLError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise StoreError(f"{path}: damaged ({type(error).__name__}); {REMEDY}") from error
    if version != SCHEMA_VERSION:
        newer = version > SCHEMA_VERSION
        remedy = "update ddlab" if newer else "sweep into another directory, or remove this one"
        raise StoreError(
            f"{path.parent}: written by {'a newer' if newer else 'an older'} ddlab"
            f" (store schema {version}, this one reads {SCHEMA_VERSION}); {remedy}"
        )
    for key, (kind, words) in KEYS.items():
        if not isinstance(sweep.get(key), kind):
            raise StoreError(f"{path}: damaged ({key} is not {words}); {REMEDY}")
    if not all(isinstance(part, dict) and _is_part(part) for part in sweep["parts"]):
        raise StoreError(f"{path}: damaged (parts holds something else than parts); {REMEDY}")
    if not _is_sealed(text):
        warnings.warn(f"{path}: changed since it was written", DamagedPart, stacklevel=2)
    return sweep


def _is_part(part: Mapping[str, Any]) -> bool:
    return (
        all(isinstance(part.get(key), kind) for key, kind in PART.items())
        and all(isinstance(key, str) for key in part["seeds"])
        and all(_is_column(column) for column in part["columns"].values())
    )


def _is_column(column: Any) -> bool:
    if not isinstance(column, dict) or column.keys() - {ALONG_PATH} != COLUMN:
        return False
    return column.get(ALONG_PATH, True) is True and all(isinstance(column[name], str) for name in COLUMN)


def is_whole(path: Path) -> bool:
    """Return whether a sweep.yaml is there as it was written."""
    try:
        return _is_sealed(_text(path))
    except StoreError:
        return False


def write_sweep_file(path: Path, sweep: Mapping[str, Any]) -> None:
    """Write a sweep.yaml."""
    text = yaml.safe_dump({"schema_version": SCHEMA_VERSION, **sweep}, sort_keys=False, width=120)
    write_atomically(path, f"{text}{SEAL}{_digest(text)}\n".encode())


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except OSError as error:
        raise StoreError(f"{path.parent}: no stored sweep here ({error.strerror}: sweep.yaml)") from error
    except UnicodeDecodeError as error:
        raise StoreError(f"{path}: damaged (no text); {REMEDY}") from error


def _is_sealed(text: str) -> bool:
    above, found, digest = text.rpartition(SEAL)
    return bool(found) and digest == f"{_digest(above)}\n"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
