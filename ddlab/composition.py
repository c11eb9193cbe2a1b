"""Composing a sweep's config without running it: for completion, and to explain Hydra's errors in one line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import hydra
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf

from ddlab import catalog
from ddlab.config import Config, PackSettings, Train, flatten, one_line
from ddlab.config_files import read_checked
from ddlab.errors import suggest

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


def explain(error: BaseException, path: Path, overrides: Sequence[str]) -> str:
    """Return a Hydra or OmegaConf error as one line that names the key, the value and what is allowed."""
    text = one_line(error)
    if isinstance(error, OverrideParseException):
        return f"{error.override}: {text.partition(' See https')[0]}"
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        if group == "hydra/launcher" and option in LAUNCHERS:
            return f"{group}={option}: is not installed; pip install 'ddlab[{LAUNCHERS[option]}]' does it"
        if group == "hydra/launcher" and option.startswith("ray"):
            return f"{group}={option}: Ray is not supported yet; known: basic, {', '.join(LAUNCHERS)}"
        return f"{group}={option}: no such option. {suggest(option, error.options or ())}".rstrip()
    unknown = re.search(r"Could not override '([^']+)'", text)
    if unknown:
        return f"unknown key '{unknown[1]}'. {suggest(unknown[1], _known_keys(path, overrides))}".rstrip()
    unknown = re.search(r"In '([^']+)': .*Key '([^']+)' (?:is )?not in '(\w+)'", text)
    if unknown:
        known = {"Config": Config, "Train": Train, "PackSettings": PackSettings}.get(unknown[3])
        names = [field.name for field in fields(known)] if known else []
        return f"{unknown[1]}: unknown key '{unknown[2]}'. {suggest(unknown[2], names)}".rstrip()
    merging = re.match(r"Error merging override (\S+)", text)
    if merging:
        cause = error.__cause__ or error.__context__
        return f"{merging[1]}: {one_line(cause) if cause else text}"
    unknown = re.search(r"config group '([^']+)' does not exist", text) or re.search(r"Could not find match for (\S+)", text)
    if unknown:
        groups = catalog.config_groups([path.parent, *catalog.search_path()])
        return f"unknown config group '{unknown[1]}'. {suggest(unknown[1], groups)}"
    return text


def _known_keys(path: Path, overrides: Sequence[str]) -> list[str]:
    """Return the keys of the config; with the command line's group choices where those compose."""
    chosen = [word for word in overrides if re.fullmatch(r"[\w/]+=\w+", word)]
    for attempt in (chosen, []):
        try:
            return list(compose_file(path, attempt))
        except (HydraException, ConfigCompositionException):
            continue
    return []
