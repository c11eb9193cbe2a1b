"""Hydra's grammar and its composition of a sweep's file, without running anything."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf

from ddlab.compose.files import read_checked
from ddlab.config import catalog
from ddlab.config.trial import flatten

# Launchers that ddlab is tested with -> the extra that installs each.
LAUNCHERS = {"joblib": "joblib", "submitit_slurm": "slurm", "submitit_local": "slurm"}


def version_base(version: str = hydra.__version__) -> dict[str, str]:
    """Return the keyword that pins Hydra's behaviour: from 1.4 on there is one behaviour, and the keyword is deprecated."""
    return {"version_base": "1.3"} if tuple(map(int, version.split(".")[:2])) < (1, 4) else {}


def quoted(text: str) -> str:
    """Return text as a quoted value of Hydra's overrides; a backslash says something only before a quote or at the end there."""
    escaped = re.sub(r"\\+(?='|\Z)", lambda backslashes: 2 * backslashes[0], text).replace("'", "\\'")
    return f"'{escaped}'"


def unquoted(text: str) -> str:
    """Return what Hydra reads in a quoted value; text that is not quoted, or not as a whole, as it is."""
    if not text.startswith(("'", '"')):
        return text
    try:
        value = OverridesParser.create().parse_override(f"x={text}").value()
    except HydraException:
        return text
    return value if isinstance(value, str) else text


def compose_file(path: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Return the leaves of a sweep's config, unresolved, with the given overrides."""
    read_checked(path, overrides)
    GlobalHydra.instance().clear()
    search = ",".join(quoted(f"file://{directory}") for directory in catalog.search_path())
    with initialize_config_dir(str(path.parent), **version_base()):
        config = compose(path.stem, overrides=[f"hydra.searchpath=[{search}]", *overrides])
    container = OmegaConf.to_container(config, resolve=False)
    assert isinstance(container, dict)
    return flatten({str(key): value for key, value in container.items()})
