"""provenance.json of a results directory: one entry for each run of the command, each with its checksum."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import subprocess
import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ddlab.files import DamagedPart, first_line, write_atomically
from ddlab.store.sealed import Damaged, sealed, unsealed


def read_provenance(path: Path) -> list[dict[str, Any]]:
    """Return the entries, each with its `command`; damaged ones are reported and left out."""
    try:
        stored = json.loads(path.read_text())
    except FileNotFoundError:
        return []
    except (OSError, ValueError, RecursionError) as error:
        warnings.warn(f"{path}: damaged, left out ({first_line(error)})", DamagedPart, stacklevel=2)
        return []
    runs = []
    for entry in stored if isinstance(stored, list) else [stored]:
        try:
            runs.append(_checked(entry))
        except Damaged as error:
            warnings.warn(f"{path}: an entry is damaged, left out ({error})", DamagedPart, stacklevel=2)
    return runs


def _checked(entry: Any) -> dict[str, Any]:
    run = unsealed(entry)
    if not isinstance(run.get("command"), str):
        raise Damaged("it names no command")
    return run


def add_provenance(path: Path, run: Mapping[str, Any]) -> None:
    """Append an entry; a damaged file is kept beside it."""
    with warnings.catch_warnings(record=True) as damage:
        warnings.simplefilter("always")
        runs = read_provenance(path)
    if damage:
        aside = path.with_suffix(".damaged")
        warnings.warn(f"{path}: damaged, kept as {aside.name}", DamagedPart, stacklevel=2)
        path.replace(aside)
    write_atomically(path, json.dumps([sealed(entry) for entry in (*runs, run)], indent=1).encode())


def this_run(command: str, overrides: Sequence[str]) -> dict[str, Any]:
    """Return what is known of this run of the command: when, command line, versions, git state."""
    packages = ("ddlab", "jax", "jaxlib", "flax", "optax", "hydra-core", "numpy", "pandas", "pyarrow", "mnist1d")
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "overrides": list(overrides),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {package: importlib.metadata.version(package) for package in packages},
        "git": _git_state(),
    }


def _git_state() -> dict[str, Any] | None:
    """Return commit and cleanliness of the checkout that ddlab runs from; None where it is installed."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "clean": not git("status", "--porcelain")}
    except (OSError, subprocess.CalledProcessError):
        return None
