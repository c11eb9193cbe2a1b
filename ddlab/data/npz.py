"""A user's own arrays from an .npz file."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ddlab.config import Mark, leaf
from ddlab.data.base import Dataset, DataSource, generator
from ddlab.data.noise import CONVENTIONS, corrupt
from ddlab.errors import ConfigError

MOST_CLASSES = 10_000


@dataclass(frozen=True)
class Npz(DataSource):
    """Arrays `inputs` [M, ...] and integer `targets` [M], split at random; or also `test_inputs` and `test_targets`.

    With test arrays in the file the training examples are the first `num_train` of a random order of `inputs`; without, the
    rest of them is the test set. A trial's identity is the file's checksum, not its path.
    """

    path: str = leaf("the .npz file", Mark.PLACE)
    checksum: str | None = leaf("sha256 of the file, 16 hex digits; null: taken from the file")
    num_train: int = leaf("training examples N", low=1)
    label_noise: float = leaf("fraction of training labels redrawn", Mark.TRACED, low=0, high=1)
    noise_convention: str = leaf("redraw over 'any' class or over the 'wrong' ones", choices=CONVENTIONS)
    seed: int = leaf("seed of the split and of the label noise", Mark.TRACED, low=0, high=2**32 - 1)

    def resolve(self) -> dict[str, Any]:
        """Fill in the checksum and make the path absolute; refuse a file that is not the one the checksum names."""
        found = self._file_checksum()
        if self.checksum not in (None, found):
            raise ConfigError(f"data.checksum={self.checksum}: {self.path} has {found}")
        return {"checksum": found, "path": str(Path(self.path).expanduser().resolve())}

    def load(self) -> Dataset:
        self.resolve()
        arrays = self._arrays()
        inputs, targets = arrays["inputs"], arrays["targets"].astype(np.int32)
        num_classes = 1 + int(max(array.max() for name, array in arrays.items() if name.endswith("targets")))
        order = generator(self.seed, "split").permutation(len(targets))
        has_test = "test_inputs" in arrays
        if self.num_train > len(targets) - (not has_test):
            raise ConfigError(f"data.num_train={self.num_train}: {self.path} has {len(targets)} examples")
        train, rest = order[: self.num_train], order[self.num_train :]
        test_inputs = arrays["test_inputs"] if has_test else inputs[rest]
        test_targets = arrays["test_targets"].astype(np.int32) if has_test else targets[rest]
        noisy = corrupt(targets[train], self.label_noise, num_classes, self.noise_convention, self.seed)
        return Dataset(inputs[train].astype(np.float32), noisy, test_inputs.astype(np.float32), test_targets, num_classes)

    def _file_checksum(self) -> str:
        try:
            with open(Path(self.path).expanduser(), "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()[:16]
        except OSError as error:
            raise ConfigError(f"data.path={self.path}: {error.strerror}") from error

    def _arrays(self) -> dict[str, np.ndarray]:
        try:
            stored = np.load(Path(self.path).expanduser())
            arrays = dict(stored) if isinstance(stored, np.lib.npyio.NpzFile) else {}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ConfigError(f"data.path={self.path}: not a readable .npz file ({error})") from error
        for inputs, targets in (("inputs", "targets"), ("test_inputs", "test_targets")):
            if inputs not in arrays and targets not in arrays and inputs.startswith("test"):
                continue
            if inputs not in arrays or targets not in arrays:
                raise ConfigError(f"data.path={self.path}: needs arrays {inputs} and {targets}; has {', '.join(arrays)}")
            if arrays[targets].ndim != 1 or arrays[targets].dtype.kind not in "iu" or len(arrays[targets]) == 0:
                raise ConfigError(f"data.path={self.path}: {targets} must be a non-empty 1-d integer array of class labels")
            if len(arrays[inputs]) != len(arrays[targets]) or arrays[targets].min() < 0:
                raise ConfigError(f"data.path={self.path}: {inputs} and {targets} differ in length, or a label is negative")
            if arrays[targets].max() >= MOST_CLASSES:
                raise ConfigError(f"data.path={self.path}: {targets} has a label above {MOST_CLASSES - 1}")
            if arrays[inputs].shape[1:] != arrays["inputs"].shape[1:] or not np.isfinite(arrays[inputs]).all():
                raise ConfigError(f"data.path={self.path}: {inputs} must be finite and of the shape of inputs")
        return arrays
