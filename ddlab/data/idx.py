"""IDX files, the format of MNIST (LeCun et al. 1998), plain or gzipped.

Two zeros, the type of the entries (8: bytes), the number of axes, the length of each axis as a big-endian number of 32 bits; then
the entries.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from ddlab.data.stored import check_size
from ddlab.errors import ConfigError

BYTES = 8
GZIP = b"\x1f\x8b"

# How many times longer than itself what is gzipped may be at most (a run of one byte).
MOST_INFLATED = 1032


def read_idx(path: Path, num_axes: int) -> np.ndarray:
    """Return the bytes of a file, uint8 with so many axes; whether it is gzipped is told from its content.

    Raises:
        ConfigError: it is no such file, or is cut off, longer than its header says, or damaged.
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        is_gzipped = file.read(len(GZIP)) == GZIP
        file.seek(0)
        most = os.fstat(file.fileno()).st_size * (MOST_INFLATED if is_gzipped else 1)
        try:
            return _read(path, cast(BinaryIO, gzip.open(file) if is_gzipped else file), num_axes, most)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise _unreadable(path, str(error)) from error


def _read(path: Path, file: BinaryIO, num_axes: int, most: int) -> np.ndarray:
    """Return the bytes of an open file, of which there are `most` at most."""
    begin = file.read(4)
    if begin != bytes([0, 0, BYTES, num_axes]):
        raise _unreadable(path, f"it begins with {begin.hex(' ') or 'nothing'}, not 00 00 {BYTES:02x} {num_axes:02x}")
    lengths = file.read(4 * num_axes)
    if len(lengths) < 4 * num_axes:
        raise _unreadable(path, "it ends in its header")
    shape = tuple(np.frombuffer(lengths, ">u4").tolist())
    size, most = math.prod(shape), most - 4 - len(lengths)
    if size > most:
        raise _unreadable(path, f"its header says {size} bytes, and there are {most} at most")
    check_size(path, size)
    found = file.read(size + 1)
    if len(found) != size:
        raise _unreadable(path, f"its header says {size} bytes, and there are {'more' if len(found) > size else len(found)}")
    return np.frombuffer(found, np.uint8).reshape(shape)


def _unreadable(path: Path, reason: str) -> ConfigError:
    return ConfigError(f"data.path={path}: not a readable IDX file ({reason})")
