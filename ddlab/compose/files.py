"""The YAML files that a sweep's config is composed of, checked before Hydra reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from ddlab.config import catalog
from ddlab.config.components import TARGET
from ddlab.errors import ConfigError, suggest
from ddlab.yaml_files import read_yaml

# Most values of an axis that is written as a list: Hydra reads the file several times, and is slow. A range may have more.
MOST_LISTED = 5_000


def read_checked(path: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Return the content of a sweep's file, after checking it, what its defaults name, and what the overrides choose.

    Raises:
        ConfigError: a file is not valid YAML or is refused (see `ddlab.yaml_files`), a defaults list is not one or names its
            own file, or the sweep's file is no sweep.
    """
    files = _Files([path.parent, *catalog.search_path()])
    sweep = files.read(path)
    if not isinstance(sweep, dict) or not sweep.get("defaults"):
        raise ConfigError(f"{path}: a sweep is a mapping with `defaults: [ddlab, ..., _self_]`; see the README")
    files.check_file(path, "", ())
    for word in overrides:
        key, _, value = word.partition("=")
        files.check_choices(key.lstrip("+~"), value)
    return sweep


def read_option(key: str, group: str, name: str) -> dict[str, Any] | None:
    """Return what an option of a config group says, for a key whose value is its name; None for one that says nothing.

    Raises:
        ConfigError: there is no such option, or it is no component.
    """
    directories = catalog.search_path()
    found = [file for directory in directories if (file := directory / group / f"{name}.yaml").is_file()]
    if not found:
        options = catalog.config_groups(directories).get(group, ())
        raise ConfigError(f"{key}={name}: no such option. {suggest(name, options)}".rstrip())
    content = _Files(directories).read(found[0])
    if content == {}:
        return None
    if not isinstance(content, dict) or TARGET not in content:
        raise ConfigError(f"{found[0]}: must be a component, a mapping with {TARGET}")
    return content


@dataclass
class _Files:
    """Where config files lie, and those that were read.

    Attributes:
        directories: searched in this order, as Hydra does.
        contents: of the files that were read.
        checked: files that need no second look.
    """

    directories: Sequence[Path]
    contents: dict[Path, Any] = field(default_factory=dict)
    checked: set[Path] = field(default_factory=set)

    def read(self, path: Path) -> Any:
        if path not in self.contents:
            try:
                self.contents[path] = read_yaml(path)
            except yaml.YAMLError as error:
                raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
        return self.contents[path]

    def check_file(self, path: Path, group: str, chain: tuple[Path, ...]) -> None:
        """Check a file and those that its defaults and its axes name.

        Args:
            path: of the file.
            group: its config group; "" for a sweep.
            chain: the files whose defaults have led to it.
        """
        if path in chain:
            raise ConfigError(f"{path}: its defaults name the file itself{_through(chain[chain.index(path) + 1 :])}")
        content = self.read(path)
        if path in self.checked or not isinstance(content, dict):
            return
        for group_of_name, name in _named(path, content.get("defaults", []), group):
            self._check_name(group_of_name, name, (*chain, path))
        axes = content.get("axes")
        for key, value in axes.items() if isinstance(axes, dict) else ():
            if isinstance(value, list) and len(value) > MOST_LISTED:
                raise ConfigError(
                    f"{path}: axes.{key}: a list of {len(value):,} values; at most {MOST_LISTED:,}: write range(...)"
                )
            self.check_choices(str(key), str(value))
        self.checked.add(path)

    def check_choices(self, group: str, value: str) -> None:
        """Check the options of a config group that a value may mean: `mlp`, `mlp,linear`, `choice(mlp,linear)`, `glob(*)`."""
        options = self._groups.get(group, [])
        named = set(re.findall(r"[\w.-]+", value))
        for option in options if "glob(" in value else named.intersection(options):
            self._check_name(group, option, ())

    @cached_property
    def _groups(self) -> dict[str, list[str]]:
        return catalog.config_groups(self.directories)

    def _check_name(self, group: str, name: str, chain: tuple[Path, ...]) -> None:
        found = [file for directory in self.directories if (file := directory / group / f"{name}.yaml").is_file()]
        if found:  # else it is Hydra's own or a schema, or Hydra will say that there is none
            self.check_file(found[0].resolve(), str(Path(group, name).parent).removeprefix("."), chain)


def _through(files: Sequence[Path]) -> str:
    return f", through {', '.join(map(str, files))}" if files else ""


def _named(path: Path, defaults: Any, group: str) -> Iterator[tuple[str, str]]:
    """Yield (config group, name) of the files that a defaults list names."""
    if not isinstance(defaults, list):
        raise ConfigError(f"{path}: defaults={defaults}: must be a list, such as [ddlab, model: mlp, _self_]")
    for entry in defaults:
        if isinstance(entry, str):
            if entry != "_self_":
                yield _place(entry, group), _bare(entry)
        elif isinstance(entry, Mapping) and len(entry) == 1 and _is_choice(*entry.items()):
            ((key, value),) = entry.items()
            for name in [value] if isinstance(value, str) else value or []:
                yield str(Path(_place(key, group), _bare(key))), name
        else:
            raise ConfigError(f"{path}: defaults: {entry}: must be a name, or a config group and an option, such as model: mlp")


def _is_choice(choice: tuple[Any, Any]) -> bool:
    key, value = choice
    names = value if isinstance(value, list) else [value]
    return isinstance(key, str) and (value is None or all(isinstance(name, str) for name in names))


def _place(name: str, group: str) -> str:
    """Return the config group that a name of a defaults list is relative to."""
    return "" if name.split(" ")[-1].startswith("/") else group


def _bare(name: str) -> str:
    """Return a name of a defaults list without `override`, `optional`, a leading slash and `@package`."""
    return name.split(" ")[-1].lstrip("/").partition("@")[0]
