"""`~key` on the command line: what takes a key out of a composed config.

Hydra does that itself, but not where the key is null, nor for an axis, whose name has dots.
"""

from __future__ import annotations

import re
from dataclasses import fields

from omegaconf import DictConfig, OmegaConf, open_dict

from ddlab.config.components import component_class
from ddlab.config.trial import flatten
from ddlab.errors import ConfigError, suggest


def removed_key(word: str) -> str | None:
    """Return the key that an override of the command line takes out, where it is a key within another; Hydra does the rest."""
    found = re.fullmatch(r"~(?!hydra\.)(\w+(?:\.\w+)+)", word)
    return found[1] if found else None


def remove(config: DictConfig, key: str) -> None:
    """Take a key out of a composed config.

    Raises:
        ConfigError: there is none of that name.
    """
    parts = key.split(".")
    for cut in range(1, len(parts)):
        place, name = ".".join(parts[:cut]), ".".join(parts[cut:])
        owner = OmegaConf.select(config, place)
        if isinstance(owner, DictConfig) and name in owner.keys():  # noqa: SIM118  a missing value counts
            is_null = not OmegaConf.is_missing(owner, name) and owner[name] is None
            if not (is_null and _declares(place, owner, name)):  # such a field is off already
                with open_dict(owner):
                    del owner[name]
            return
    container = OmegaConf.to_container(OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]))
    assert isinstance(container, dict)
    known = flatten({str(name): value for name, value in container.items()})
    raise ConfigError(f"~{key}: there is no such key. {suggest(key, known)}".rstrip())


def _declares(place: str, owner: DictConfig, name: str) -> bool:
    """Return whether a node is a component that has such a field."""
    return "_target_" in owner and name in {field.name for field in fields(component_class(place, owner["_target_"]))}
