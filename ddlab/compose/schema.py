"""The schema of a config as Hydra takes it."""

from __future__ import annotations

import dataclasses
from typing import Any, get_type_hints

from hydra.core.config_store import ConfigStore
from hydra.core.object_type import ObjectType
from omegaconf import DictConfig, OmegaConf

from ddlab.config.schema import Config


def writable(cls: type) -> DictConfig:
    """Return the OmegaConf form of a frozen dataclass with the read-only flags lifted, so that Hydra can compose it."""
    config = OmegaConf.structured(cls)
    OmegaConf.set_readonly(config, False)
    for name, child in get_type_hints(cls).items():
        if isinstance(child, type) and dataclasses.is_dataclass(child):
            config[name] = writable(child)
    return config


def register() -> None:
    """Register the schema with Hydra as `schema`, which `configs/ddlab.yaml` names in its defaults."""
    offer("schema", writable(Config))


def offer(name: str, node: Any, group: str | None = None) -> None:
    """Offer a config to Hydra once: it runs the modules of plugins twice, and takes a second config of a name for a mistake."""
    store = ConfigStore.instance()
    if store.get_type("/".join([*([group] if group else []), f"{name}.yaml"])) is ObjectType.NOT_FOUND:
        store.store(name, node, group, provider="ddlab")
