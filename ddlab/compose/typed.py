"""From a composed config to typed leaves: every component is merged into its class's schema, every name is known."""

from __future__ import annotations

import dataclasses
import os
from types import MappingProxyType
from typing import Any, get_args, get_type_hints

from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from ddlab.compose.schema import writable
from ddlab.config import catalog
from ddlab.config.components import TARGET, component_class, public_name
from ddlab.config.declare import Leaf, declared
from ddlab.config.schema import MOST_DEVICES_A_MACHINE, SECTIONS, Config, PackSettings, Science
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
    for key, cls in SECTIONS.items():
        science[key] = _typed_fields(key, cls, config[key])
    OmegaConf.set_struct(science, True)
    return science


def check_names(config: DictConfig) -> None:
    """Raise `ConfigError` for a key of a composed config that was taken out, or added where it means nothing.

    Hydra lets `~` and `+` do that.
    """
    for owner, cls in {"": Config, **SECTIONS, "pack": PackSettings}.items():
        node = config[owner] if owner else config
        prefix = f"{owner}." if owner else ""
        known = [field.name for field in dataclasses.fields(cls)]
        for name in known:
            if name not in node.keys():  # noqa: SIM118  a key without a value is there
                raise ConfigError(f"{prefix}{name}: no sweep can do without it")
        for name in map(str, node):
            if name not in known and prefix + name != "hydra":
                raise ConfigError(f"unknown key '{prefix}{name}'. {suggest(name, known)}".rstrip())
    for name in ("measures", "axes", "stages", "refine", "figures", "claims"):
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
    """Return a component merged into its class's schema, and the components in it likewise."""
    return _typed_fields(key, component_class(key, node[TARGET]), node)


def _typed_fields(key: str, cls: type, node: DictConfig) -> DictConfig:
    """Return the fields of a component merged into the schema of its class; a null among named components is none."""
    declarations = declared(cls)
    unknown = [str(name) for name in node if name not in declarations and name != TARGET]
    if unknown:
        hint = f"{suggest(unknown[0], declarations)} (if the sweep's file sets it, ~{key}.{unknown[0]} takes it out)".lstrip()
        raise ConfigError(f"unknown key '{key}.{unknown[0]}' of {cls.__name__}. {hint}")
    schema = writable(cls)
    OmegaConf.set_struct(schema, False)
    kinds = get_type_hints(cls)
    for name in map(str, node):
        inner, declaration = f"{key}.{name}", declarations.get(name, Leaf(""))
        if declaration.named:
            schema[name] = _typed_named(inner, node[name], _class_of_values(kinds[name]))
        elif _holds_components(node, name):
            schema[name] = _typed_component(inner, node[name]) if TARGET in node[name] else _typed_named(inner, node[name])
        elif declaration.group and declaration.is_off(node[name]):
            schema[name] = node[name]
        elif declaration.group:
            options = ", ".join(catalog.config_groups(catalog.search_path()).get(declaration.group, ()))
            found = "null" if node[name] is None else node[name]
            raise ConfigError(f"{inner}={found}: must be one of {options}, or a component, a mapping with {TARGET}")
        else:
            _merge(schema, inner, node, name)
    return schema


def _merge(schema: DictConfig, key: str, node: DictConfig, name: str) -> None:
    """Merge a field of a node that is no component into a schema."""
    try:
        schema.merge_with(OmegaConf.masked_copy(node, name))
        if not OmegaConf.is_interpolation(node, name) and OmegaConf.is_list(node.get(name)):
            schema[name] = OmegaConf.to_container(node[name], resolve=False)  # merged lists are not checked in depth
    except OmegaConfBaseException as error:
        raise ConfigError(f"{key}={node[name]}: {one_line(error)}") from error


def _class_of_values(kind: Any) -> type | None:
    """Return the class of the components of a field by its type, such as `dict[str, Group]`; None where it does not say."""
    cls = get_args(kind)[-1]
    return cls if isinstance(cls, type) and dataclasses.is_dataclass(cls) else None


def _holds_components(node: DictConfig, name: str) -> bool:
    """Whether a field holds a component, or a mapping of them."""
    if OmegaConf.is_missing(node, name) or OmegaConf.is_interpolation(node, name) or not isinstance(node[name], DictConfig):
        return False
    inner = node[name]
    return TARGET in inner or any(isinstance(inner[each], DictConfig) and TARGET in inner[each] for each in inner)


def _typed_named(key: str, node: DictConfig | None, cls: type | None = None) -> dict[str, DictConfig]:
    """Return components by name, each merged into its class's schema; a null is none.

    Args:
        key: of the field that holds them.
        node: the field.
        cls: theirs where they name none.
    """
    found = {}
    if not isinstance(node, DictConfig | None):
        raise ConfigError(f"{key}={node}: must be a mapping of components by name")
    for name, item in ({} if node is None else node).items():
        if item is None:
            continue
        if cls is not None and isinstance(item, DictConfig) and TARGET not in item:
            with open_dict(item):
                item[TARGET] = public_name(cls)
        if not isinstance(item, DictConfig) or TARGET not in item:
            raise ConfigError(f"{key}.{name}={item}: must be a component, a mapping with {TARGET}")
        found[str(name)] = _typed_component(f"{key}.{name}", item)
    return found


def resolved(science: DictConfig) -> Leaves:
    """Return the leaves of a typed config, interpolations resolved, as an immutable flat mapping."""
    try:
        container = OmegaConf.to_container(science, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        raise ConfigError(f"{error.full_key}: has no value; give {error.full_key}=VALUE") from error
    except OmegaConfBaseException as error:
        key = error.full_key or ""
        component = key.rpartition(".")[0]
        out = f"; {component}=null takes the measure out" if component.startswith("measures.") else ""
        raise ConfigError(f"{key}: {one_line(error)}{out}") from error
    assert isinstance(container, dict)
    return MappingProxyType(flatten({str(key): value for key, value in container.items()}))
