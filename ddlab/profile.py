"""A JAX profile of a moment of a pack: enough for thousands of steps, little enough to open."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import jax

SECONDS = 0.3


class Profile:
    """Records from the first call of `follow` to the first one at least `SECONDS` later: whole segments."""

    def __init__(self, directory: Path):
        self._directory = directory
        self._started: float | None = None
        self._done = False

    def follow(self) -> None:
        """Begin, go on or end, as is due; called between two segments."""
        if self._started is None:
            shutil.rmtree(self._directory, ignore_errors=True)
            options = jax.profiler.ProfileOptions()
            options.python_tracer_level = 0
            jax.profiler.start_trace(str(self._directory), profiler_options=options)
            self._started = time.monotonic()
        elif time.monotonic() - self._started >= SECONDS:
            self.stop()

    def stop(self) -> None:
        """Write what was recorded, for TensorBoard (xplane.pb) and Perfetto (trace.json.gz), if anything was."""
        if self._started is not None and not self._done:
            jax.profiler.stop_trace()
            self._done = True
