"""One writer at a time: of a results directory, one command; of a pack, one process.

A lease is a file that names its holder and is touched by it again and again. It ends with its holder: on the same machine as
soon as that process is gone, on another one once the file has not been touched for `SECONDS`. It needs no locks of the file
system, so it holds between the machines of a cluster, too (`filelock.SoftFileLease`).
"""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from filelock import SoftFileLease, Timeout

from ddlab.errors import StoreError
from ddlab.files import remove_unfinished, write_atomically
from ddlab.store.store import Store

SECONDS = 90.0

# How long a process may take to let go of a lease that it was about to release.
PATIENCE = 1.0


# Seconds between two looks at the file.
POLL = 0.1


class Held(StoreError):
    """Another process holds the lease; the message names it."""


class Lease:
    """The lease of one file; a context manager."""

    def __init__(self, path: Path, lost: Callable[[], None] = lambda: None, cancelled: Callable[[], bool] = lambda: False):
        """
        Args:
            path: of the file.
            lost: is called, in another thread, where the lease is lost meanwhile.
            cancelled: whether to wait no longer.
        """
        self._path, self._cancelled = path, cancelled
        self._lease = SoftFileLease(
            path, lease_duration=SECONDS, poll_interval=POLL, thread_local=False, on_compromise=lambda _: lost()
        )

    def __enter__(self) -> Lease:
        """
        Raises:
            Held: by another process.
        """
        if not self._acquired(PATIENCE) and not self._taken_over():
            raise Held(self.holder)
        try:
            self._job_file.unlink(missing_ok=True)
            if job := _batch_job():
                write_atomically(self._job_file, job.encode())
        except BaseException:
            self._lease.release()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_own():
            self._job_file.unlink(missing_ok=True)
        self._lease.release()

    def _acquired(self, timeout: float) -> bool:
        try:
            self._lease.acquire(timeout=timeout, cancel_check=self._cancelled)
        except Timeout:
            return False
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self._path)) from error  # a full disk, which names no file
        return True

    def _taken_over(self) -> bool:
        """Take the lease from a holder that is gone; wait to see whether one on another machine is."""
        owner = self._lease.owner
        if owner is None or (owner.hostname == _this_host() and _lives(owner.pid)):
            return False
        if owner.hostname != _this_host():
            print(f"ddlab: waiting for {self.holder}, which may be gone (at most {SECONDS:.0f} s)", file=sys.stderr)
            touched = self._path.stat().st_mtime_ns
            if self._acquired(SECONDS + 10 * PATIENCE):
                return True
            if self._cancelled() or not self._path.exists() or self._path.stat().st_mtime_ns != touched:
                return False
        self._remove_that_of(owner.token)
        return self._acquired(PATIENCE)

    def _remove_that_of(self, token: str | None) -> None:
        """Remove the lease of a holder that is gone, where the file system cannot exchange files, as NFS cannot; no other one."""
        aside = self._path.with_name(f"{self._path.name}.{secrets.token_hex(4)}")
        with suppress(FileNotFoundError):
            self._path.rename(aside)
            found = SoftFileLease(aside, lease_duration=SECONDS).owner
            if found is None or found.token != token:  # another process was faster, and holds it now
                with suppress(FileExistsError):
                    os.link(aside, self._path)
            aside.unlink()

    def _is_own(self) -> bool:
        owner = self._lease.owner
        return owner is not None and owner.token == self._lease.token

    def check(self) -> None:
        """Raise `StoreError` where the lease is not held any more: another process took it over, or its directory is gone."""
        deadline = time.monotonic() + PATIENCE
        while not self._is_own():  # a file system of a network may fail once
            if time.monotonic() > deadline or not self._path.parent.exists():
                gone = f"taken over by {self.holder}" if self._path.exists() else f"{self._path.parent} was removed meanwhile"
                raise StoreError(f"{gone}; this process stores nothing more there")
            time.sleep(POLL)

    @property
    def living(self) -> str:
        """The process that holds it, in words; empty where there is none, or it is gone."""
        if not self._path.exists() or self._acquired(PATIENCE):
            self._lease.release()
            return ""
        return self.holder

    @property
    def holder(self) -> str:
        """The process that holds it, in words."""
        owner = self._lease.owner
        if owner is None:
            return f"an unknown process (if there is none, remove {self._path})"
        place = "this machine" if owner.hostname == _this_host() else owner.hostname.partition("?")[0]
        job = ""
        with suppress(FileNotFoundError):
            job = f", batch job {self._job_file.read_text()}"
        return f"process {owner.pid} on {place}{job}"

    @property
    def _job_file(self) -> Path:
        return self._path.with_name(f"{self._path.name}.job")


@contextmanager
def claim(store: Store) -> Iterator[None]:
    """Keep other commands from writing to a store meanwhile.

    Raises:
        StoreError: another process runs a sweep there, or the directory holds something else.
    """
    root = store.root
    foreign = root.is_dir() and any(not path.name.startswith(".") for path in root.iterdir())
    if foreign and not (store.exists() or store.plan_file.exists()):
        raise StoreError(f"out={root}: holds files, but no stored sweep; name a new or an empty directory")
    root.mkdir(parents=True, exist_ok=True)
    try:
        with Lease(store.lease_file):
            for path in (store.sweep_file, store.plan_file, store.provenance_file):
                remove_unfinished(root, path.name)
            yield
    except Held as holder:
        raise StoreError(f"out={root}: another process is running this sweep: {holder}") from holder


def _lives(pid: int) -> bool:
    """Return whether there is a process of this number on this machine; where that cannot be told, there is."""
    if os.name == "nt":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@cache
def _this_host() -> str:
    """Return this machine as leases name it."""
    with tempfile.TemporaryDirectory() as directory, SoftFileLease(Path(directory) / "lease") as lease:
        assert lease.owner is not None
        return lease.owner.hostname


def _batch_job() -> str:
    """Return the number of the SLURM job that this process is, as `scancel` takes it; empty where it is none."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID", "")
