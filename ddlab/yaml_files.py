"""Reading YAML that anybody may have written: what would take endless memory or time is refused before it is built."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

MOST_DEPTH = 50
MOST_REPEATED = 100_000
MOST_DIGITS = 1_000

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = "tag:yaml.org,2002:int"
_LONG_NUMBER = re.compile(rf"[-+\d_:.xXa-fA-F]{{{MOST_DIGITS + 1},}}")


class RefusedYaml(yaml.YAMLError):
    """YAML that is well-formed, but not plain data of a sane size."""


@dataclass
class _Node:
    """A list or mapping that is being read, or one that an alias may repeat.

    Attributes:
        anchor: the name that aliases know it by.
        size: values within it, itself included, aliases followed.
        depth: lists and mappings within each other, itself included, aliases followed.
    """

    anchor: str | None
    size: int = 1
    depth: int = 1

    def take(self, child: _Node) -> None:
        self.size += child.size
        self.depth = max(self.depth, child.depth + 1)


@dataclass
class _Reading:
    """What is known of a document up to some event of its parser.

    Attributes:
        open: the lists and mappings around the event, the outermost first.
        anchored: those that an alias may name.
        repeated: values that aliases have repeated so far.
    """

    open: list[_Node] = field(default_factory=list)
    anchored: dict[str, _Node] = field(default_factory=dict)
    repeated: int = 0

    def see(self, event: yaml.Event) -> None:
        line = f"line {event.start_mark.line + 1}: " if event.start_mark else ""
        if isinstance(event, yaml.CollectionStartEvent):
            self.open.append(_Node(event.anchor))
            self._name(self.open[-1])
        elif isinstance(event, yaml.CollectionEndEvent):
            self._close(self.open.pop())
        elif isinstance(event, yaml.ScalarEvent):
            if (event.implicit[0] or event.tag == _INTEGER) and _LONG_NUMBER.fullmatch(event.value):
                raise RefusedYaml(f"{line}a number of {len(event.value):,} digits; at most {MOST_DIGITS:,} are read")
            scalar = _Node(event.anchor, depth=0)
            self._name(scalar)
            self._close(scalar)
        elif isinstance(event, yaml.AliasEvent) and event.anchor in self.anchored:
            node = self.anchored[event.anchor]
            if any(node is outer for outer in self.open):
                raise RefusedYaml(f"{line}*{event.anchor} stands within what it names")
            self.repeated += node.size
            self._close(node)
        if self.repeated > MOST_REPEATED:
            raise RefusedYaml(f"{line}aliases repeat more than {MOST_REPEATED:,} values")
        if len(self.open) + (self.open[-1].depth if self.open else 0) - 1 > MOST_DEPTH:
            raise RefusedYaml(f"{line}lists and mappings lie more than {MOST_DEPTH} deep")

    def _name(self, node: _Node) -> None:
        if node.anchor is not None:
            self.anchored[node.anchor] = node

    def _close(self, node: _Node) -> None:
        if self.open:
            self.open[-1].take(node)


def check_yaml(text: str) -> None:
    """Refuse YAML that is hostile or broken, in time and memory of the order of its length.

    Raises:
        yaml.YAMLError: it is not valid; or it has an alias within what the alias names, aliases that repeat more than
            `MOST_REPEATED` values, more than `MOST_DEPTH` levels, or an integer of more than `MOST_DIGITS` digits.
    """
    reading = _Reading()
    for event in yaml.parse(text, Loader=_Loader):
        reading.see(event)


def load_yaml(text: str) -> Any:
    """Return the content of YAML text; see `check_yaml` for what is refused.

    Raises:
        yaml.YAMLError: it is not valid, or refused.
    """
    check_yaml(text)
    try:
        return yaml.load(text, Loader=_Loader)
    except (ValueError, OverflowError) as error:  # a date of month 13, an integer by tag that is none
        raise RefusedYaml(str(error)) from error


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file; see `check_yaml` for what is refused.

    Raises:
        OSError: it cannot be read.
        yaml.YAMLError: it is not UTF-8, not valid, or refused.
    """
    return load_yaml(read_text(path))


def read_text(path: Path) -> str:
    """Return the text of a YAML file.

    Raises:
        OSError: it cannot be read.
        yaml.YAMLError: it is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RefusedYaml(f"not UTF-8: {error.reason} at byte {error.start}") from error
