"""Files that are either whole or absent, and what is said of those that cannot be read."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

# What opening a directory (Windows), or making it last (some file systems of networks), answers where that is not possible.
CANNOT_SYNC = (errno.EACCES, errno.EPERM, errno.EISDIR, errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)


class DamagedPart(UserWarning):
    """A stored file that cannot be read; it is kept, reported, and the rest is used."""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def write_atomically(path: Path, content: bytes | Callable[[BinaryIO], None], *, new: bool = False) -> None:
    """Write a file so that it is either whole or absent, also after a power cut; what could not be written leaves nothing.

    Args:
        path: of the file; its directory is made where there is none.
        content: of the file, or a function that writes it.
        new: the file must not be there yet.

    Raises:
        FileExistsError: with `new`, where the file is there already.
        OSError: it cannot be written; names the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(temporary, "xb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if new:
            _move_to_new(temporary, path)
        else:
            os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            raise OSError(error.errno, error.strerror, str(path)) from error  # a full disk, which names no file
        raise
    _sync_directory(path.parent)


def _move_to_new(source: Path, target: Path) -> None:
    """Rename a file to a name that must be free."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if target.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        os.replace(source, target)
    else:
        source.unlink()


def remove_unfinished(directory: Path, name: str) -> None:
    """Remove what killed processes have left of files of a name (or pattern) that `write_atomically` had not finished."""
    for path in directory.glob(f".{name}.{'[0-9a-f]' * 8}"):
        path.unlink(missing_ok=True)


def _sync_directory(directory: Path) -> None:
    """Make the names in a directory last, where the system and its file system can do that."""
    try:
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in CANNOT_SYNC:
            raise


def cache_directory() -> Path:
    """Return where generated data, compiled programs and the measured speed of this machine are kept between runs.

    $DDLAB_CACHE, else $XDG_CACHE_HOME/ddlab, else ~/.cache/ddlab; what lies there can be removed at any time. Files of images
    that the user has put there are read, never written.
    """
    base = os.environ.get("DDLAB_CACHE")
    return Path(base) if base else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ddlab"
