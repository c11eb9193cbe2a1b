"""The user's cache directory: generated data, compiled programs, the measured speed of this machine."""

from __future__ import annotations

import os
from pathlib import Path


def cache_directory() -> Path:
    """Return $DDLAB_CACHE, else $XDG_CACHE_HOME/ddlab, else ~/.cache/ddlab; what lies there can be removed at any time."""
    base = os.environ.get("DDLAB_CACHE")
    return Path(base) if base else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ddlab"
