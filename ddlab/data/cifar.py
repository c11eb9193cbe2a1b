"""Files of the binary versions of CIFAR-10 and CIFAR-100 (Krizhevsky 2009).

An example is its labels, a byte each (of CIFAR-100 the coarse one, then the fine one), and 32 x 32 bytes of red, then of green,
then of blue, row by row.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ddlab.data.stored import check_size
from ddlab.errors import ConfigError

SIDE, CHANNELS = 32, 3


def read_cifar(path: Path, num_labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the images [M, 32, 32, 3] of a file and the last label of each, [M], both uint8.

    Args:
        path: of the file.
        num_labels: of each example.

    Raises:
        ConfigError: it is no such file.
        OSError: it cannot be read.
    """
    size, length = path.stat().st_size, num_labels + CHANNELS * SIDE**2
    if not size or size % length:
        raise ConfigError(f"data.path={path}: has {size} bytes, must have a multiple of {length}, those of an example")
    check_size(path, size)
    found = np.fromfile(path, np.uint8, size).reshape(-1, length)
    return found[:, num_labels:].reshape(-1, CHANNELS, SIDE, SIDE).transpose(0, 2, 3, 1), found[:, num_labels - 1]
