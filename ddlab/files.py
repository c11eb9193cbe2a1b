"""Files that are either whole or absent, and what is said of those that cannot be read."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import Any


class DamagedPart(UserWarning):
    """A stored file that cannot be read; it is kept, reported, and the rest is used."""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def write_atomically(path: Path, content: Any) -> None:
    """Write a file so that it is either whole or absent, also after a power cut; what could not be written leaves nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    """Make the names in a directory last, where the system lets a directory be opened (Windows does not)."""
    with contextlib.suppress(PermissionError, IsADirectoryError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
