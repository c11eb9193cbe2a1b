"""Named arrays in a directory of their own: `arrays.npz`, and `about.json`, which makes it whole and has its checksum."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ddlab.files import write_atomically
from ddlab.store.sealed import Damaged, sealed, unsealed

ABOUT, ARRAYS = "about.json", "arrays.npz"


def write_arrays(directory: Path, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> None:
    """Write arrays by name, and what is said about them (JSON)."""

    def write(file: BinaryIO) -> None:
        np.savez(file, allow_pickle=False, **arrays)

    write_atomically(directory / ARRAYS, write)
    said = {**about, "arrays": _digest(directory / ARRAYS)}
    write_atomically(directory / ABOUT, json.dumps(sealed(said)).encode())


def read_about(directory: Path) -> dict[str, Any]:
    """Return what is said about the arrays of a directory.

    Raises:
        Damaged: it is not as it was written.
        OSError: it cannot be read.
    """
    try:
        return unsealed(json.loads((directory / ABOUT).read_text()))
    except ValueError as error:
        raise Damaged(str(error)) from error


def read_arrays(directory: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a directory by name; as `read_about`."""
    if read_about(directory).get("arrays") != _digest(directory / ARRAYS):
        raise Damaged("its checksum differs")
    try:
        with np.load(directory / ARRAYS, allow_pickle=False) as stored:
            return dict(stored)
    except (ValueError, zipfile.BadZipFile) as error:
        raise Damaged(str(error)) from error


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
