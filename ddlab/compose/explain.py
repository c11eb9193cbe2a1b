"""Errors of Hydra and OmegaConf as one line that names the key, the value and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException

from ddlab.compose.hydra import LAUNCHERS, compose_file
from ddlab.config import catalog
from ddlab.config.schema import Config, PackSettings, Train
from ddlab.errors import one_line, suggest


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
