"""From a composed config to typed leaves: every component is merged into its class's schema, every name is known."""

from __future__ import annotations

import dataclasses
import os
from types import MappingProxyType

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from ddlab.compose.schema import writable
from ddlab.config.components import TARGET, component_class
from ddlab.config.declare import declared
from ddlab.config.schema import MOST_DEVICES_A_MACHINE, Config, PackSettings, Science, Train
from ddlab.config.trial import Leaves, flatten
from ddlab.errors import ConfigError, one_line, suggest


def typed(config: DictConfig) -> DictConfig:
    """Return the science part of a composed config, every component merged into its class's schema.

    Raises:
        ConfigError: a component without `_target_`, an unknown field, or a value of the wrong type.
    """
    science = writable(Science)
    own = OmegaConf.masked_copy(config, list(declared(Science)))
    unresolved = OmegaConf.to_container(own, resolve=False)
    assert isinstance(unresolved, dict)
    for name in declared(Science):  # an interpolation stays one: what it follows may be an axis
        science[name] = unresolved[name] if OmegaConf.is_interpolation(own, name) else own[name]
    OmegaConf.set_struct(science, False)
    science.measures = {name: node for name, node in (config.measures or {}).items() if node is not None}
    for key in ["data", "model", "optimizer", *(f"measures.{name}" for name in science.measures)]:
        node = OmegaConf.select(science, key)
        if not isinstance(node, DictConfig) or TARGET not in node:
            raise ConfigError(f"{key}: must be a component, a mapping with _target_ (is the group choice missing?)")
        OmegaConf.update(science, key, _typed_component(key, node), merge=False)
    OmegaConf.set_struct(science, True)
    return science


def check_names(config: DictConfig) -> None:
    """Raise `ConfigError` for a key of a composed config that was taken out, or added where it means nothing.

    Hydra lets `~` and `+` do that.
    """
    for owner, cls in (("", Config), ("train", Train), ("pack", PackSettings)):
        node = config[owner] if owner else config
        prefix = f"{owner}." if owner else ""
        known = [field.name for field in dataclasses.fields(cls)]
        for name in known:
            if name not in node.keys():  # noqa: SIM118  a key without a value is there
                raise ConfigError(f"{prefix}{name}: no sweep can do without it")
        for name in map(str, node):
            if name not in known and prefix + name != "hydra":
                raise ConfigError(f"unknown key '{prefix}{name}'. {suggest(name, known)}".rstrip())
    for name in ("measures", "axes", "figures", "claims"):
        if not isinstance(config[name], DictConfig | None):
            raise ConfigError(f"{name}={config[name]}: must be a mapping")


def pack_settings(config: DictConfig) -> PackSettings:
    """Return the typed, range-checked `pack` section of a composed config."""
    settings = PackSettings(**config.pack)
    for name, declaration in declared(PackSettings).items():
        declaration.check(f"pack.{name}", getattr(settings, name))
    cores = os.cpu_count() or 1
    most = max(MOST_DEVICES_A_MACHINE, cores)
    if settings.cpu_devices is not None and settings.cpu_devices > most:
        raise ConfigError(
            f"pack.cpu_devices={settings.cpu_devices}: must be at most {most} on this machine of {cores} cores;"
            " null takes all cores of the machine that a pack runs on"
        )
    return settings


def _typed_component(key: str, node: DictConfig) -> DictConfig:
    """Return a component merged into its class's schema, and the components in it likewise; a null among named ones is off."""
    cls = component_class(key, node[TARGET])
    known = {field.name for field in dataclasses.fields(cls)}
    unknown = [str(name) for name in node if name not in known and name != TARGET]
    if unknown:
        hint = f"(if the sweep's file sets it, ~{key}.{unknown[0]} takes it out)"
        raise ConfigError(f"unknown key '{key}.{unknown[0]}' of {cls.__name__}. {suggest(unknown[0], known)} {hint}")
    schema = writable(cls)
    OmegaConf.set_struct(schema, False)
    for name in map(str, node):
        if _holds_components(node, name):
            schema[name] = _typed_node(f"{key}.{name}", node[name])
            continue
        try:
            schema.merge_with(OmegaConf.masked_copy(node, name))
            if not OmegaConf.is_interpolation(node, name) and OmegaConf.is_list(node.get(name)):
                schema[name] = OmegaConf.to_container(node[name], resolve=False)  # merged lists are not checked in depth
        except OmegaConfBaseException as error:
            raise ConfigError(f"{key}.{name}={node[name]}: {one_line(error)}") from error
    return schema


def _holds_components(node: DictConfig, name: str) -> bool:
    """Whether a field holds a component, or a mapping of them."""
    if OmegaConf.is_missing(node, name) or OmegaConf.is_interpolation(node, name) or not isinstance(node[name], DictConfig):
        return False
    inner = node[name]
    return TARGET in inner or any(isinstance(inner[each], DictConfig) and TARGET in inner[each] for each in inner)


def _typed_node(key: str, node: DictConfig) -> DictConfig | dict[str, DictConfig]:
    if TARGET in node:
        return _typed_component(key, node)
    named = {str(name): item for name, item in node.items() if item is not None}
    for name, item in named.items():
        if not isinstance(item, DictConfig) or TARGET not in item:
            raise ConfigError(f"{key}.{name}={item}: must be a component, a mapping with _target_, as its neighbours are")
    return {name: _typed_component(f"{key}.{name}", item) for name, item in named.items()}


def resolved(science: DictConfig) -> Leaves:
    """Return the leaves of a typed config, interpolations resolved, as an immutable flat mapping."""
    try:
        container = OmegaConf.to_container(science, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        raise ConfigError(f"{error.full_key}: has no value; give {error.full_key}=VALUE") from error
    except OmegaConfBaseException as error:
        raise ConfigError(one_line(error)) from error
    assert isinstance(container, dict)
    return MappingProxyType(flatten({str(key): value for key, value in container.items()}))
