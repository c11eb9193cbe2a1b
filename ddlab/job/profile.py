"""A JAX profile of a moment of a pack: enough for thousands of steps, little enough to open."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import jax

SECONDS = 0.3


class Profile:
    """A context that records from the first call of `follow` to the first one at least `SECONDS` later.

    What was recorded is for TensorBoard (xplane.pb) and Perfetto (trace.json.gz).
    """

    def __init__(self, directory: Path):
        self._directory = directory
        self._stops = 0.0
        self._recording = False

    def follow(self) -> None:
        """Begin, go on or end, as is due; called between two segments."""
        now = time.monotonic()
        if not self._stops:
            shutil.rmtree(self._directory, ignore_errors=True)
            options = jax.profiler.ProfileOptions()
            options.python_tracer_level = 0
            jax.profiler.start_trace(str(self._directory), profiler_options=options)
            self._recording, self._stops = True, now + SECONDS
        elif now >= self._stops:
            self._stop()

    def __enter__(self) -> Profile:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._recording:
            self._recording = False
            jax.profiler.stop_trace()
