"""The local devices, CPU cores included: how many, how large, how precise, and where their programs are kept."""

from __future__ import annotations

import contextlib
import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import jax
from jax.experimental.compilation_cache.compilation_cache import reset_cache

from ddlab.config.schema import Train
from ddlab.files import cache_directory, first_line

CACHE_SIZE_FILE = Path("/sys/devices/system/cpu/cpu0/cache/index2/size")  # Linux; such as "1024K"
DEFAULT_CACHE_BYTES = 2**20
CACHES_OF_WORK = 2

ACCELERATOR_BYTES = 2**29

# Room on the disk of the cache directory below which compiled programs are not kept.
LEAST_FREE_BYTES = 2**26


class Divisible(Protocol):
    """How much of a pack a device is given at once."""

    def smaller(self) -> tuple[Any, str] | None:
        """Return half of it and what is said of that; None where nothing is left to halve."""


class DoesNotFit(Exception):
    """A device has too little memory.

    Attributes:
        portion: how much of the pack it was given at once.
    """

    def __init__(self, portion: Divisible, error: Exception):
        super().__init__(first_line(error))
        self.portion = portion


@contextlib.contextmanager
def fitting(portion: Divisible) -> Iterator[None]:
    """Raise `DoesNotFit` where a device runs out of memory with so much of a pack at once."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise DoesNotFit(portion, error) from error


@contextlib.contextmanager
def precision(train: Train) -> Iterator[None]:
    """The context in which a pack is traced and run; JAX keeps it for each thread."""
    with jax.enable_x64(train.dtype == "float64"), jax.default_matmul_precision(train.matmul_precision):
        yield


def num_cores() -> int:
    """Return how many CPU cores this process may use; of those of the machine where the system sets no such limit (macOS)."""
    if hasattr(os, "process_cpu_count"):  # Python 3.13
        return os.process_cpu_count() or 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_cpu_cores(num_devices: int | None) -> None:
    """Make CPU cores JAX devices, so that the trial axis is sharded over them; no effect once JAX has started."""
    with contextlib.suppress(RuntimeError):
        jax.config.update("jax_num_cpu_devices", num_devices or num_cores())


def use_compile_cache(mib: float) -> None:
    """Keep compiled programs in the user's cache directory, the least recently used ones up to `mib` MiB; 0: keep none.

    Where that cannot be written, or its disk is nearly full, none are kept: JAX would leave half-written ones, and not replace
    them. Where `$JAX_COMPILATION_CACHE_DIR` is set, they are kept there, as large as JAX's own settings say.
    """
    warnings.filterwarnings("once", "Error (reading|writing) persistent compilation cache entry")
    wanted: dict[str, Any] = {"jax_enable_compilation_cache": mib > 0}
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        directory = cache_directory() / "compiled"
        if mib > 0:
            with contextlib.suppress(OSError):
                directory.mkdir(parents=True, exist_ok=True)
        wanted |= {
            "jax_compilation_cache_dir": str(directory) if _has_room(directory) else None,
            "jax_compilation_cache_max_size": int(mib * 2**20),
            "jax_persistent_cache_min_compile_time_secs": 0.0,
            "jax_persistent_cache_min_entry_size_bytes": 0,
        }
    if any(getattr(jax.config, name) != value for name, value in wanted.items()):
        for name, value in wanted.items():
            jax.config.update(name, value)
        reset_cache()  # JAX looks at these settings once


def _has_room(directory: Path) -> bool:
    return os.access(directory, os.W_OK) and shutil.disk_usage(directory).free > LEAST_FREE_BYTES


def working_bytes() -> int:
    """Return how large the arrays of a step may be for a device to work on them best.

    On a CPU core that is two second-level caches: with more, the cores wait for each other's memory. On an accelerator it is
    what keeps it busy.
    """
    if jax.default_backend() != "cpu":
        return ACCELERATOR_BYTES
    cache = DEFAULT_CACHE_BYTES
    with contextlib.suppress(OSError, ValueError):
        cache = 1024 * int(CACHE_SIZE_FILE.read_text().strip().removesuffix("K"))
    return CACHES_OF_WORK * cache


class Devices(NamedTuple):
    """The local devices.

    Attributes:
        number: how many there are.
        working_bytes: of the arrays that one works on best.
        cores: they are cores of the CPU: each solves one problem after the other, not all that it is handed together.
    """

    number: int
    working_bytes: int
    cores: bool


def local_devices() -> Devices:
    """Return what a plan must know of the local devices."""
    return Devices(jax.local_device_count(), working_bytes(), jax.default_backend() == "cpu")
