"""What the peers of a benchmark are given: arrays and settings, as files, so that they need not import ddlab."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np


def write(directory: Path, arrays: dict[str, np.ndarray], settings: dict[str, Any]) -> Path:
    """Write a problem; return its path, which is a peer's one argument."""
    directory.mkdir(parents=True, exist_ok=True)
    np.savez(directory / "arrays.npz", **arrays)
    path = directory / "settings.json"
    path.write_text(json.dumps(settings))
    return path


def read() -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return settings and arrays of the problem named on the command line.

    Settings: model ("mlp", "cnn_1d" or "quadratic"), widths, seeds, steps, eval_steps, batch_size (null: full batch),
    num_outputs, alphabet, learning_rate, weight_decay, b1, b2, threads, fused, gradient_norm.
    """
    path = Path(sys.argv[1])
    with np.load(path.with_name("arrays.npz")) as stored:
        return json.loads(path.read_text()), dict(stored)


def features(settings: dict[str, Any], tokens: np.ndarray) -> np.ndarray:
    """Return inputs as the peers take them: tokens one-hot encoded and concatenated."""
    if settings["alphabet"] is None:
        return tokens
    return np.eye(settings["alphabet"], dtype=np.float32)[tokens].reshape(len(tokens), -1)


class Report:
    """Times the loop of a peer and prints what the driver reads."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._excluded = 0.0
        self.trial_steps = 0
        self.last: dict[str, float] = {}

    def exclude(self, seconds: float) -> None:
        """Leave compilation out of the loop's seconds."""
        self._excluded += seconds

    def print(self) -> None:
        """Print one JSON line."""
        seconds = time.monotonic() - self._start - self._excluded
        print(json.dumps({"seconds": seconds, "trial_steps": self.trial_steps, **self.last}))
