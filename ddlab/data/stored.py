"""Strangers' files of data: what is said of those that cannot be read, and how large they may be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ddlab.errors import ConfigError

# Of a file, and of its arrays, which may be a thousand times larger. All of them lie in memory, and once more on each device.
MOST_BYTES = 2 * 2**30


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Say in one line what the system says of a file or directory that cannot be read.

    Raises:
        ConfigError: where it does.
    """
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(f"data.path={path}: {getattr(error, 'strerror', None) or error}") from error


def check_size(path: str | Path, num_bytes: int) -> None:
    """Raise `ConfigError` where a file, or what is in it, takes more bytes than it may."""
    if num_bytes > MOST_BYTES:
        size, most = num_bytes / 2**30, MOST_BYTES / 2**30
        raise ConfigError(
            f"data.path={path}: takes {size:,.1f} GiB, must be at most {most:.0f} GiB (float32 or uint8 takes least)"
        )
