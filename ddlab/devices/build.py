"""Programs traced by JAX and compiled by XLA for the local devices, and what that took."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
from jax.stages import Compiled, Lowered

# LLVM's first level compiles a fifth faster than its second, and what it makes is no slower here (make bench).
COMPILER_OPTIONS: dict[str, Any] = {"cpu": {"xla_backend_optimization_level": 1}}


class Build(NamedTuple):
    """What it took to make the programs of a pack.

    Attributes:
        trace_seconds: spent on making them in JAX.
        compile_seconds: spent on compiling them with XLA, or on taking them from the cache.
    """

    trace_seconds: float
    compile_seconds: float

    def about(self) -> dict[str, Any]:
        """Return what is stored of it with the pack, with the devices and the version of JAX."""
        return {"devices": [str(device) for device in jax.local_devices()], "jax": jax.__version__, **self._asdict()}


def compile_all(lower: Callable[[], Sequence[Lowered]]) -> tuple[list[Compiled], Build]:
    """Return the compiled programs that a function traces and lowers, and what they took."""
    start = time.monotonic()
    lowered = lower()
    traced = time.monotonic()
    options = COMPILER_OPTIONS.get(jax.default_backend())
    executables = [program.compile(options) for program in lowered]
    return executables, Build(traced - start, time.monotonic() - traced)
