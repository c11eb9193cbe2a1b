"""A user's own arrays from an .npz file."""

from __future__ import annotations

import hashlib
import math
import stat
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ddlab.config import Mark, leaf, seed_leaf
from ddlab.data.base import Dataset, Split
from ddlab.data.noise import NoisyLabels
from ddlab.data.stored import check_size, reading
from ddlab.errors import ConfigError
from ddlab.streams import generator

MOST_CLASSES = 10_000

# Names of the arrays: inputs and targets, of the training set (or of all examples) and of the test set.
PAIRS = (("inputs", "targets"), ("test_inputs", "test_targets"))


@dataclass(frozen=True)
class Npz(NoisyLabels):
    """Arrays `inputs` [M, ...] and integer `targets` [M], split at random; or also `test_inputs` and `test_targets`.

    With test arrays in the file the training examples are the first `num_train` of a random order of `inputs`; without, the
    rest of them is the test set. A trial's identity is the file's checksum, not its path.
    """

    path: str = leaf("the .npz file", Mark.PLACE)
    checksum: str | None = leaf("sha256 of the file, 16 hex digits; null: taken from the file")
    num_train: int = leaf("training examples N", Mark.SIZE, low=1)
    seed: int = seed_leaf("seed of the split")

    NESTED_BY = "num_train"

    def resolve(self) -> dict[str, Any]:
        """Fill in the checksum and make the path absolute; refuse a file that is not the one the checksum names."""
        path, file = self._file()
        if self.checksum not in (None, file.checksum):
            raise ConfigError(f"data.checksum={self.checksum}: {self.path} has {file.checksum}")
        return {"checksum": file.checksum, "path": str(path)}

    def load(self) -> Dataset:
        self.resolve()
        arrays = self._file()[1].arrays
        inputs, targets = arrays["inputs"], arrays["targets"]
        num_classes = 1 + int(max(array.max() for name, array in arrays.items() if name.endswith("targets")))
        order = generator(self.seed, "split").permutation(len(targets))
        has_test = "test_inputs" in arrays
        if self.num_train > len(targets) - (not has_test):
            raise ConfigError(f"data.num_train={self.num_train}: {self.path} has {len(targets)} examples")
        train, rest = order[: self.num_train], order[self.num_train :]
        test = Split(arrays["test_inputs"], arrays["test_targets"]) if has_test else Split(inputs[rest], targets[rest])
        return self.dataset({"train": Split(inputs[train], targets[train]), "test": test}, num_classes)

    def _file(self) -> tuple[Path, _File]:
        with reading(self.path):
            path = Path(self.path).expanduser().resolve()
            about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise ConfigError(f"data.path={self.path}: must be a regular file")
        check_size(self.path, about.st_size)
        with reading(self.path):
            return path, _read(str(path), about.st_ino, about.st_size, about.st_mtime_ns)


@dataclass(frozen=True)
class _File:
    """What was read of a file.

    Attributes:
        checksum: sha256, 16 hex digits.
        arrays: float32 inputs and int32 targets by name.
    """

    checksum: str
    arrays: Mapping[str, np.ndarray]


@lru_cache(maxsize=1)
def _read(path: str, *_state: int) -> _File:
    """Read a file once, until its state on the disk is another.

    Raises:
        ConfigError: it is no .npz file, or its arrays are not as `Npz` says.
    """
    with open(path, "rb") as file:
        checksum = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    _check_headers(path, _headers(path))
    try:
        with np.load(path) as stored:
            found = {name: stored[name] for pair in PAIRS for name in pair if name in stored}
    except Exception as error:  # whatever NumPy, zipfile and zlib say of a damaged file
        raise _unreadable(path, error) from error
    for inputs, targets in PAIRS:
        if inputs in found:
            found[inputs] = _checked_inputs(path, inputs, found[inputs])
            found[targets] = _checked_targets(path, targets, found[targets])
    return _File(checksum, found)


def _unreadable(path: str, error: Exception) -> ConfigError:
    return ConfigError(f"data.path={path}: not a readable .npz file ({' '.join(str(error).split()) or type(error).__name__})")


def _headers(path: str) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Return shape and type of every array of a file, without reading it."""
    found = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                if member.endswith(".npy"):
                    with archive.open(member) as file:
                        version = np.lib.format.read_magic(file)
                        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                        shape, _, dtype = read(file)
                    found[member.removesuffix(".npy")] = (shape, dtype)
    except Exception as error:  # whatever NumPy, zipfile and zlib say of a damaged file
        raise _unreadable(path, error) from error
    return found


def _check_headers(path: str, headers: Mapping[str, tuple[tuple[int, ...], np.dtype]]) -> None:
    for inputs, targets in PAIRS:
        if inputs not in headers and targets not in headers and inputs.startswith("test"):
            continue
        if inputs not in headers or targets not in headers:
            has = ", ".join(sorted(headers)[:12]) or "none"
            raise ConfigError(f"data.path={path}: needs arrays {inputs} and {targets}; has {has}")
        (shape, dtype), (targets_shape, targets_dtype) = headers[inputs], headers[targets]
        if dtype.kind not in "fiu":
            raise ConfigError(f"data.path={path}: {inputs} must be real numbers, floating or integer; found {dtype}")
        if len(targets_shape) != 1 or targets_dtype.kind not in "iu" or targets_shape[0] < 1:
            raise ConfigError(f"data.path={path}: {targets} must be a non-empty 1-d integer array of class labels")
        if not shape or shape[0] != targets_shape[0]:
            raise ConfigError(f"data.path={path}: {inputs} {shape} and {targets} {targets_shape} differ in length")
        if shape[1:] != headers["inputs"][0][1:] or not math.prod(shape):
            raise ConfigError(f"data.path={path}: {inputs} {shape} must have numbers, as many an example as inputs")
    wanted = [headers[name] for pair in PAIRS for name in pair if name in headers]
    check_size(path, sum(math.prod(shape) * dtype.itemsize for shape, dtype in wanted))


def _checked_inputs(path: str, name: str, array: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        array = array.astype(np.float32)
    if not np.isfinite(array).all():
        raise ConfigError(f"data.path={path}: {name} must be finite, also as float32")
    return array


def _checked_targets(path: str, name: str, array: np.ndarray) -> np.ndarray:
    if array.min() < 0:
        raise ConfigError(f"data.path={path}: {name} has a negative label")
    if array.max() >= MOST_CLASSES:
        raise ConfigError(f"data.path={path}: {name} has a label above {MOST_CLASSES - 1}")
    return array.astype(np.int32)
