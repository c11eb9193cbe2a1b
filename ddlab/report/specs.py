"""The options of a report's figures: those that are stored, changed by the words of the command line."""

from __future__ import annotations

import contextlib
import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from ddlab.errors import ConfigError, suggest
from ddlab.report.options import shown
from ddlab.yaml_files import load_yaml


@dataclass(frozen=True)
class Override:
    """One word of the command line.

    Attributes:
        word: as it was written.
        adds: whether it may name a new figure.
        figure: its name.
        option: of the figure.
        key: within the option, such as a column of `where`; empty: the option itself.
        value: as YAML reads it.
    """

    word: str
    adds: bool
    figure: str
    option: str
    key: str
    value: Any


def read_overrides(words: Iterable[str]) -> list[Override]:
    """Return the overrides that words of the command line are.

    Raises:
        ConfigError: a word that is none, or whose value is not YAML.
    """
    return [_read_override(word) for word in words]


def _read_override(word: str) -> Override:
    match = re.fullmatch(r"(\+{0,2})figures\.([\w-]+)\.([\w.]+)=(.*)", word, re.DOTALL)
    if match is None:
        raise ConfigError(f"'{word}': a report takes figures.KEY.OPTION=value")
    plus, figure, option, text = match.groups()
    try:
        value = load_yaml(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{shown(word)}: the value cannot be read ({str(error).splitlines()[0]})") from error
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = float(value)  # 1e-4 is text in YAML
    option, _, key = option.partition(".")
    return Override(word, bool(plus), figure, option, key, value)


def figure_specs(figures: Mapping[str, Any], overrides: Sequence[Override]) -> dict[str, Any]:
    """Return the figures' options with the overrides applied. Nothing is resolved: the stored options were when they were stored.

    Raises:
        ConfigError: a figure that does not exist and is not added, or an option that holds no others.
    """
    specs: dict[str, Any] = copy.deepcopy(dict(figures))
    for override in overrides:
        if not override.adds and override.figure not in specs:
            raise ConfigError(f"{override.word}: no figure '{override.figure}'. {suggest(override.figure, specs)} (+ adds one)")
        inside = specs.setdefault(override.figure, {})
        if isinstance(inside, dict) and override.key:
            inside = inside.setdefault(override.option, {})
        if not isinstance(inside, dict):
            raise ConfigError(f"{override.word}: {override.option if override.key else override.figure} holds no other options")
        inside[override.key or override.option] = override.value
    return specs
