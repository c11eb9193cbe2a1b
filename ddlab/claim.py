"""One command at a time writes a results directory."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ddlab.errors import StoreError
from ddlab.store import Store


@contextmanager
def claim(store: Store) -> Iterator[None]:
    """Keep other commands from writing to a store meanwhile; a claim whose process is gone does not count.

    Raises:
        StoreError: another process runs a sweep there, or the directory holds something else.
    """
    root = store.root
    foreign = root.is_dir() and any(not path.name.startswith(".") for path in root.iterdir())
    if foreign and not (store.exists() or store.plan_file.exists()):
        raise StoreError(f"out={root}: holds files, but no stored sweep; name a new or an empty directory")
    path = root / ".running"
    root.mkdir(parents=True, exist_ok=True)
    other = _running(path)
    if other:
        raise StoreError(f"out={root}: process {other} is running this sweep (if it is not, remove {path})")
    path.unlink(missing_ok=True)
    try:
        with open(path, "x") as file:
            file.write(f"{os.getpid()} {socket.gethostname()}")
    except FileExistsError as error:
        raise StoreError(f"out={root}: another process has just begun to run this sweep") from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _running(path: Path) -> str:
    """Return the process that holds a claim, as text; empty where there is none, or it is gone."""
    try:
        process, host = path.read_text().split()
        number = int(process)
    except (OSError, ValueError):
        return ""
    if host != socket.gethostname():
        return f"{process} on {host}"
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass  # it runs, as another user
    return process
