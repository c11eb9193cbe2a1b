"""One command at a time writes a results directory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager

import filelock

from ddlab.errors import StoreError
from ddlab.store import Store


@contextmanager
def claim(store: Store) -> Iterator[None]:
    """Keep other commands of this machine from writing to a store meanwhile.

    The claim is a lock of the operating system, which ends with its process. Where the file system has none, nothing is kept.

    Raises:
        StoreError: another process runs a sweep there, or the directory holds something else.
    """
    root = store.root
    foreign = root.is_dir() and any(not path.name.startswith(".") for path in root.iterdir())
    if foreign and not (store.exists() or store.plan_file.exists()):
        raise StoreError(f"out={root}: holds files, but no stored sweep; name a new or an empty directory")
    root.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(filelock.FileLock(root / ".running", timeout=0))
        except filelock.Timeout as error:
            raise StoreError(f"out={root}: another process is running this sweep") from error
        except NotImplementedError:  # what filelock raises where the file system has no locks
            pass
        yield
