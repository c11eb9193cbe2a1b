"""Packs as jobs of a Hydra launcher, and what becomes of them."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from ddlab.compose.hydra import quoted
from ddlab.config.schema import PackSettings
from ddlab.errors import ComponentError, DdlabError, LaunchError, PackFailed
from ddlab.files import first_line
from ddlab.job.job import COMMAND
from ddlab.run.pack import run_pack
from ddlab.store.lease import Lease
from ddlab.store.store import Store

GO_ON = "what is stored is kept, and the same command goes on"
SHOW_TRACEBACK = "HYDRA_FULL_ERROR=1 shows the traceback"
Launch = Callable[[list[list[str]]], Sequence[JobReturn]]


def in_this_process(config: DictConfig) -> bool:
    """Return whether the launcher of a composed config runs one job after the other in this process."""
    return bool(config.hydra.runtime.choices["hydra/launcher"] == "basic")


@contextmanager
def as_command() -> Iterator[None]:
    """Let the processes that are launched know which process to end with."""
    os.environ[COMMAND] = str(os.getpid())
    try:
        yield
    finally:
        os.environ.pop(COMMAND, None)


def _pack_overrides(config: DictConfig) -> list[str]:
    fixed = {key: value for key, value in config.pack.items() if key != "index"}
    return [f"pack.{key}={'null' if value is None else value}" for key, value in fixed.items()]


def jobs_of(packs: Sequence[int], store: Store, config: DictConfig) -> list[list[str]]:
    """Return the overrides of the job of each pack."""
    fixed = [f"out={quoted(str(store.root))}", *_pack_overrides(config)]
    return [[*fixed, f"pack.index={pack}"] for pack in packs]


def run_job(root: str | Path, index: int, settings: PackSettings, following: int | None = None) -> None:
    """Run one pack; its errors can be sent from one process to another.

    Raises:
        DdlabError, OSError: a mistake of the user, or something amiss with the machine.
        PackFailed: any other error, and one inside a component.
    """
    try:
        run_pack(root, index, settings, following)
    except ComponentError as error:
        raise PackFailed(str(error), traceback.format_exc()) from None
    except (DdlabError, OSError):
        raise
    except Exception as error:
        text = " ".join(str(error).split())
        raise PackFailed(f"{type(error).__name__}: {text}".removesuffix(": "), traceback.format_exc()) from None


def run_packs(packs: Sequence[int], store: Store, settings: PackSettings) -> None:
    """Run packs one after the other in this process, each compiled while the one before it runs.

    Raises:
        DdlabError, OSError: as `run_job`, where all packs that failed met the same.
        LaunchError: packs failed otherwise; the others are stored.
    """
    failed: dict[int, Exception] = {}
    for pack, following in zip(packs, [*packs[1:], None], strict=True):
        try:
            run_job(store.root, pack, settings, following)
        except (DdlabError, OSError, PackFailed) as error:
            failed[pack] = error
    _raise_failures(failed)


def launch_packs(launch: Launch, packs: Sequence[int], jobs: list[list[str]]) -> None:
    """Launch the jobs of some packs and wait for them.

    Raises:
        DdlabError, OSError, LaunchError: as `run_packs`; or the launcher itself failed.
    """
    try:
        returns = launch(jobs)
    except (DdlabError, OSError, HydraException, OmegaConfBaseException):
        raise
    except BrokenProcessPool as error:
        raise LaunchError(f"a process that trained packs was killed (out of memory?); {GO_ON}") from error
    except Exception as error:
        text = f"{type(error).__name__}: {first_line(error)}"
        raise LaunchError(f"the launcher failed: {text} ({SHOW_TRACEBACK}); {GO_ON}") from error
    ended = zip(packs, returns, strict=True)
    _raise_failures({pack: job._return_value for pack, job in ended if job.status is not JobStatus.COMPLETED})


def _raise_failures(failed: Mapping[int, Exception]) -> None:
    """Raise what made packs fail, by their number: once where that is the same mistake for all, else a line for each."""
    told = {pack: _failure(failure) for pack, failure in failed.items()}
    if len(set(told.values())) == 1 and isinstance(failure := next(iter(failed.values())), DdlabError | OSError):
        raise failure
    if failed:
        lines = [f"pack {pack} failed: {text}" for pack, text in told.items()]
        raise LaunchError("\n".join(lines)) from ExceptionGroup("packs that failed", list(failed.values()))


def _failure(error: Exception) -> str:
    """Return why a pack failed, in words; equal for packs that failed alike."""
    if isinstance(error, DdlabError):
        return str(error)
    if isinstance(error, OSError):
        return error.strerror or first_line(error)
    line = error.line if isinstance(error, PackFailed) else f"{type(error).__name__}: {first_line(error)}"
    return f"{line} ({SHOW_TRACEBACK})"


def submitted_jobs(store: Store) -> set[str]:
    """Return the jobs that submitit knows of: each has a directory of its own."""
    return {path.name for path in (store.root / ".submitit").glob("[0-9]*")}


def tell_what_goes_on(store: Store, packs: Sequence[int], jobs: set[str]) -> None:
    """Say which jobs do not end with the command that launched them."""
    at_work = {pack: holder for pack in packs if (holder := Lease(store.pack_lease_file(pack)).living)}
    if jobs:
        array = ", ".join(sorted({job.partition("_")[0] for job in jobs}))
        print(f"ddlab: {len(jobs)} submitted jobs go on by themselves; to end them: scancel {array}", file=sys.stderr)
    for pack, holder in at_work.items():
        print(f"ddlab: pack {pack} goes on: {holder}", file=sys.stderr)
