"""Components that are chosen by a word inside others: `optimizer.schedule=cosine` is `configs/schedule/cosine.yaml`.

Which fields hold a component is known once the component around them is, after Hydra's composition. A word there is replaced by
what its option says, and only then what lies below it can be set, as by `optimizer.schedule.decay_steps=100`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict

from ddlab.compose.files import read_option
from ddlab.compose.typed import check_names
from ddlab.config.components import TARGET, component_class
from ddlab.config.declare import Leaf, declared
from ddlab.config.schema import SECTIONS

Compose = Callable[[list[str]], DictConfig]

# Where components stand in a config, and how many names lead from there into a component inside one: measures have names.
DEPTHS = {"data": 2, "model": 2, "optimizer": 2, "train": 2, "start": 2, "measures": 3}

# Mappings that a sweep's file fills as it likes, and how many names lead into them.
FREE = {"refine": 1, "stages": 2}


# The option of a group that says nothing: no component.
NONE = "none"


class Composed(NamedTuple):
    """A composed config.

    Attributes:
        config: in which no component is a word.
        words: where words stood, or no component where there may be none -> the words, or `NONE`.
    """

    config: DictConfig
    words: dict[str, str]


def compose_words(compose: Compose, overrides: Sequence[str]) -> Composed:
    """Compose a config, its words replaced by the options that they name.

    Args:
        compose: overrides (no sweeps) -> composed config.
        overrides: those of what lies inside a component inside a component are set after the others.

    Raises:
        ConfigError: as `check_names`, or a word that names no option.
    """
    inner = [word for word in overrides if is_inner(word)]
    config = compose([word for word in overrides if word not in inner])
    check_names(config)
    words = _replaced(config)
    parsed = sorted(OverridesParser.create().parse_overrides(inner), key=_depth)
    for _, overrides_within in groupby(parsed, _depth):  # a word stands for what is set below it
        for override in overrides_within:
            OmegaConf.update(config, override.key_or_group, override.value(), merge=True, force_add=True)
            words.pop(override.key_or_group.removesuffix(f".{TARGET}"), None)  # another component stands there
        words |= _replaced(config)
    return Composed(config, words)


def _depth(override: Override) -> int:
    key: str = override.key_or_group
    return key.count(".")


def is_inner(word: str) -> bool:
    """Whether an override sets what Hydra knows nothing of: what lies inside a component inside a component, or in `FREE`."""
    place, *names = word.partition("=")[0].lstrip("+").split(".")
    return len(names) >= (DEPTHS | FREE).get(place, len(names) + 1)


def _replaced(config: DictConfig) -> dict[str, str]:
    """Replace the words of a config; return where they stood."""
    words: dict[str, str] = {}
    for section, cls in SECTIONS.items():
        _replace_fields(section, config[section], cls, words)
    for place in DEPTHS:
        _replace_within(place, config[place], words)
    return words


def _replace_within(key: str, node: Any, words: dict[str, str]) -> None:
    if isinstance(node, DictConfig) and TARGET in node:
        _replace_fields(key, node, component_class(key, node[TARGET]), words)
    elif isinstance(node, DictConfig):
        for name in map(str, node):
            _replace_within(f"{key}.{name}", _value(node, name), words)


def _replace_fields(key: str, node: DictConfig, cls: type, words: dict[str, str]) -> None:
    for name, declaration in declared(cls).items():
        inner, value = f"{key}.{name}", _value(node, name)
        if declaration.named:
            for each in map(str, value if isinstance(value, DictConfig) else ()):
                _replace_word(inner, value, each, declaration, words)
        else:
            _replace_word(key, node, name, declaration, words)
        _replace_within(inner, _value(node, name), words)


def _replace_word(key: str, node: DictConfig, name: str, declaration: Leaf, words: dict[str, str]) -> None:
    inner, value = f"{key}.{name}", _value(node, name)
    if declaration.group and isinstance(value, str):
        words[inner] = value
        with open_dict(node):
            node[name] = read_option(inner, declaration.group, value)
    elif declaration.group and value is None and (declaration.named or declaration.is_off(value)):
        words[inner] = NONE


def _value(node: DictConfig, name: str) -> Any:
    """Return the value of a field; None where it has none of its own."""
    if name not in node or OmegaConf.is_missing(node, name) or OmegaConf.is_interpolation(node, name):
        return None
    return node[name]
