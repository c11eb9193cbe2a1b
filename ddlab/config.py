"""The configuration: a typed schema, checked leaf by leaf, then never changed.

A *component* (data set, model, optimizer, measure) is a frozen dataclass whose fields are its config and whose one or
two methods do the work. The node that names it by `_target_` is type-checked against that class, so a user's own
component is treated exactly like a shipped one. Each field is declared with `leaf`, which says what it means, which
values it may take, and its `Mark`: how the pack engine may vary it.

A trial's config is a flat, immutable mapping from dotted keys to values, its *leaves*: `{"model.width": 64, ...}`.
"""

from __future__ import annotations

import dataclasses
import enum
import importlib
import json
import math
import os
import sys
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, get_type_hints

from hydra.core.config_store import ConfigStore
from hydra.core.object_type import ObjectType
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from ddlab.errors import ConfigError, inside, suggest

SCHEMA_VERSION = 2

Leaves = Mapping[str, Any]


class Mark(enum.Enum):
    """How a leaf may vary among the trials of one pack."""

    STATIC = "decides shapes or code: trials of one pack share it"
    TRACED = "a number that enters the program as an array, one value per trial"
    WIDTH = "traced like a number, but decides shapes: narrower trials are zero-padded to the widest of the pack"
    PLACE = "where something lies, not what it is: no part of a trial's identity"


class Always(enum.Enum):
    """The one value of `ALWAYS`, which is no value of a config."""

    ALWAYS = "a leaf that does something at every value"


ALWAYS = Always.ALWAYS


@dataclasses.dataclass(frozen=True)
class Leaf:
    """Declaration of one config field: meaning, mark and allowed values.

    Attributes:
        off: the value at which the field does nothing, bit for bit as if there were no such field; `ALWAYS`: there is none.
            A config that lacks the field has it at this value.
    """

    doc: str
    mark: Mark = Mark.STATIC
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[str, ...] | None = None
    off: Any = ALWAYS

    @property
    def allowed(self) -> str:
        """The allowed values in words, such as 'at least 1' or 'one of relu, tanh'."""
        if self.choices is not None:
            return "one of " + ", ".join(self.choices)
        bounds = {"above": self.above, "at least": self.low, "at most": self.high, "below": self.below}
        return " and ".join(f"{word} {bound:.15g}" for word, bound in bounds.items() if bound is not None)

    def check(self, key: str, value: Any) -> None:
        """Raise `ConfigError` where the value of `key` is outside the declared range; null passes."""
        if value is None:
            return
        if self.choices is not None:
            if value not in self.choices:
                raise ConfigError(f"{key}={value}: must be {self.allowed}. {suggest(str(value), self.choices, 0)}".rstrip())
            return
        if not isinstance(value, int | float) or isinstance(value, bool):
            return
        inside = (
            math.isfinite(value)
            and (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )
        if not inside:
            allowed = self.allowed if math.isfinite(value) else "finite"
            raise ConfigError(f"{key}={value}: must be {allowed}")


def leaf(
    doc: str,
    mark: Mark = Mark.STATIC,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: tuple[str, ...] | None = None,
    off: Any = ALWAYS,
) -> Any:
    """Declare a config field of a component; its default lives in the YAML that names the component.

    A knob that is added later has `off`, a value at which it does nothing: then it may be left out.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Ridge:
        ...     penalty: float = leaf("ridge penalty lambda", Mark.TRACED, low=0)
    """
    metadata = {"leaf": Leaf(doc, mark, low, high, above, below, choices, off)}
    return (
        dataclasses.field(metadata=metadata) if off is ALWAYS else dataclasses.field(default=off, kw_only=True, metadata=metadata)
    )


DTYPES = ("bfloat16", "float32", "float64")


@dataclasses.dataclass(frozen=True)
class Train:
    """How a trial is trained and when it is evaluated."""

    steps: int = leaf("optimizer steps", low=1, high=2**31 - 1)
    batch_size: int | None = leaf("examples per step; null: full batch", low=1)
    loss: str = leaf("training loss", choices=("cross_entropy", "mse"))
    num_evals: int = leaf("eval points, step 0 and the last step included", low=2)
    eval_spacing: str = leaf("spacing of the eval points", choices=("log", "linear"))
    dtype: str = leaf("type of the network's arithmetic; bfloat16 keeps parameters in float32", choices=DTYPES)
    matmul_precision: str = leaf("precision of matrix products on accelerators", choices=("default", "high", "highest"))
    stop_metric: str | None = leaf("metric that may end a trial early; null: never")
    stop_below: float = leaf("the trial ends once stop_metric has held at or below this ...")
    stop_patience: int = leaf("... for this many eval points in a row", low=1)
    divergence_factor: float = leaf(
        "a trial has diverged when train_loss exceeds this many times that of an untrained model: of one that outputs zeros"
        " (log K; mean square of the targets), or its own at step 0 where that is larger",
        above=1,
    )


# CPU devices that any machine may have: more than its cores are of use for trying out what runs on several.
MOST_DEVICES_A_MACHINE = 8


@dataclasses.dataclass(frozen=True)
class PackSettings:
    """How trials are packed and run; no part of a trial's identity."""

    index: int | None = leaf("the one pack that this job runs (set by the sweeper)", low=0)
    next: int | None = leaf("the pack that this process runs after it, compiled meanwhile (set by the sweeper)", low=0)
    max_trials: int | None = leaf("most trials in a pack; null: as many as memory allows", low=1)
    memory_gib: float = leaf("memory that one pack may take", above=0, high=2**20)
    cpu_devices: int | None = leaf("CPU cores used as devices; null: all", low=1)
    checkpoint_seconds: float = leaf("least seconds between two commits (metrics and checkpoint) to the store", low=0)
    compile_cache_mib: float = leaf("compiled programs kept in the user's cache directory; 0: none", low=0, high=2**30)
    keep_checkpoints: bool = leaf("keep the last checkpoint of a finished pack")
    profile: bool = leaf("write a JAX profile of a moment of the pack (set by profile=true)")

    @property
    def memory(self) -> float:
        """Bytes that one pack may take."""
        return self.memory_gib * 2**30


@dataclasses.dataclass(frozen=True)
class Science:
    """What is trained and measured: a trial's identity."""

    data: Any = leaf("data set (a component)")
    model: Any = leaf("network (a component)")
    optimizer: Any = leaf("optimizer (a component)")
    train: Train = leaf("training loop")
    measures: dict[str, Any] = leaf("named measures (components); null turns one off")
    seed: int = leaf("seed of initialisation and batches", Mark.TRACED, low=0, high=2**32 - 1)


@dataclasses.dataclass(frozen=True)
class Config(Science):
    """The whole configuration: the science, how it is run, and how it is reported."""

    title: str = leaf("one line: what the sweep is")
    paper: str = leaf("what it reproduces: authors, year, figure")
    shows: str = leaf("what to expect to see")
    trials: int = leaf("trials of the sweep as shipped", low=0)
    minutes: float = leaf("wall minutes on 2 CPU cores", low=0)
    axes: dict[str, Any] = leaf("sweep axes: config key -> values in Hydra's sweep grammar")
    figures: dict[str, Any] = leaf("figure recipes drawn by `ddlab report`")
    claims: dict[str, Any] = leaf("claims of the paper, checked by `ddlab verify`")
    pack: PackSettings = leaf("packing and running")
    out: str = leaf("results directory")
    extend: bool = leaf("add trials to a store whose base config differs")
    profile: bool = leaf("write a JAX profile of a moment of each pack")


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


def flatten(node: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested mappings into dotted keys; lists stay whole, as tuples."""
    flat: dict[str, Any] = {}
    for name, value in node.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{key}.")
        else:
            flat[key] = plain(value)
    return flat


def plain(value: Any) -> Any:
    """Return a value as a leaf has it: equal values in one form, so lists as tuples, and zero without a sign."""
    if isinstance(value, list | tuple):
        return tuple(plain(item) for item in value)
    return value + 0.0 if isinstance(value, float) else value


def load_leaves(config: str) -> Leaves:
    """Return the leaves that a stored trial's canonical JSON holds."""
    return MappingProxyType({sys.intern(key): _shared(value) for key, value in json.loads(config).items()})


def _shared(value: Any) -> Any:
    """Return a leaf that JSON has held; equal words are kept once, for there may be many trials."""
    if isinstance(value, str):
        return sys.intern(value)
    return tuple(value) if isinstance(value, list) else value


def section(leaves: Leaves, name: str) -> dict[str, Any]:
    """Return the nested fields below `name`: `section(leaves, "train") == {"steps": ..., ...}`."""
    nested: dict[str, Any] = {}
    for key, value in leaves.items():
        if not key.startswith(f"{name}."):
            continue
        *path, last = key[len(name) + 1 :].split(".")
        node = nested
        for part in path:
            node = node.setdefault(part, {})
        node[last] = value
    return nested


def component_class(key: str, target: Any) -> type:
    """Return the dataclass that a `_target_` names; raise `ConfigError` where there is none."""
    return _imported(key, str(target))


@cache
def _imported(key: str, target: str) -> type:
    module, _, name = target.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception as error:
        raise ConfigError(f"{key}._target_={target}: cannot be imported ({one_line(error)})") from error
    if not (isinstance(found, type) and dataclasses.is_dataclass(found)):
        raise ConfigError(f"{key}._target_={target}: must be a dataclass; its fields are the component's config")
    return found


def build(leaves: Leaves, name: str) -> Any:
    """Make the component below `name` from its leaves (numbers, or tracers inside a compiled program)."""
    fields = section(leaves, name)
    cls = component_class(name, fields.pop("_target_"))
    with inside(cls):
        return cls(**fields)


def build_measures(leaves: Leaves) -> list[Any]:
    """Make every measure, in the order of the config."""
    return [build(leaves, f"measures.{name}") for name in section(leaves, "measures")]


def train_settings(leaves: Leaves) -> Train:
    """Return the typed `train` section."""
    return Train(**section(leaves, "train"))


def typed(config: DictConfig) -> DictConfig:
    """Return the science part of a composed config, every component merged into its class's schema.

    Raises:
        ConfigError: a component without `_target_`, an unknown field, or a value of the wrong type.
    """
    science = writable(Science)
    for field in dataclasses.fields(Science):
        science[field.name] = config[field.name]
    OmegaConf.set_struct(science, False)
    science.measures = {name: node for name, node in (config.measures or {}).items() if node is not None}
    for key in ["data", "model", "optimizer", *(f"measures.{name}" for name in science.measures)]:
        node = OmegaConf.select(science, key)
        if not isinstance(node, DictConfig) or "_target_" not in node:
            raise ConfigError(f"{key}: must be a component, a mapping with _target_ (is the group choice missing?)")
        cls = component_class(key, node["_target_"])
        OmegaConf.update(science, key, _typed_component(key, cls, node), merge=False)
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
    for field in dataclasses.fields(PackSettings):
        field.metadata["leaf"].check(f"pack.{field.name}", getattr(settings, field.name))
    cores = os.cpu_count() or 1
    most = max(MOST_DEVICES_A_MACHINE, cores)
    if settings.cpu_devices is not None and settings.cpu_devices > most:
        raise ConfigError(
            f"pack.cpu_devices={settings.cpu_devices}: must be at most {most} on this machine of {cores} cores;"
            " null takes all cores of the machine that a pack runs on"
        )
    return settings


def _typed_component(key: str, cls: type, node: DictConfig) -> DictConfig:
    known = {field.name for field in dataclasses.fields(cls)}
    unknown = [str(name) for name in node if name not in known and name != "_target_"]
    if unknown:
        hint = f"(if the sweep's file sets it, ~{key}.{unknown[0]} takes it out)"
        raise ConfigError(f"unknown key '{key}.{unknown[0]}' of {cls.__name__}. {suggest(unknown[0], known)} {hint}")
    schema = writable(cls)
    OmegaConf.set_struct(schema, False)
    for name in node:
        try:
            schema.merge_with(OmegaConf.masked_copy(node, str(name)))
            if not OmegaConf.is_interpolation(node, str(name)) and OmegaConf.is_list(node.get(name)):
                schema[name] = OmegaConf.to_container(node[name], resolve=False)  # merged lists are not checked in depth
        except OmegaConfBaseException as error:
            raise ConfigError(f"{key}.{name!s}={node[name]}: {one_line(error)}") from error
    return schema


def one_line(error: BaseException) -> str:
    """Return an OmegaConf or Hydra error as one line, without the object dump that follows it."""
    lines = [line.strip() for line in str(error).splitlines()]
    return " ".join(line for line in lines if line and not line.startswith(("full_key:", "object_type=", "reference_type=")))


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


def declarations(leaves: Leaves) -> dict[str, Leaf]:
    """Return the `Leaf` of every key; fields of a user's class that declare none are static."""
    owners: dict[str, Any] = {"train": Train}
    for key, value in leaves.items():
        if key.endswith("._target_"):
            owner = key.removesuffix("._target_")
            owners[owner] = component_class(owner, value)
    found: dict[str, Leaf] = {"seed": Science.__dataclass_fields__["seed"].metadata["leaf"]}
    for owner, cls in owners.items():
        for field in dataclasses.fields(cls):
            if "leaf" in field.metadata:
                found[f"{owner}.{field.name}"] = field.metadata["leaf"]
    return {key: found.get(key, Leaf("")) for key in leaves}


def traced_keys(leaves: Leaves) -> tuple[str, ...]:
    """Return the leaves that may differ between the trials of a pack: those of mark TRACED or WIDTH."""
    return tuple(key for key, declared in declarations(leaves).items() if declared.mark in (Mark.TRACED, Mark.WIDTH))


def hyper_keys(leaves: Leaves) -> tuple[str, ...]:
    """Return the traced leaves that a program reads as numbers: the data's act through its arrays, the seed through keys."""
    return tuple(key for key in traced_keys(leaves) if key != "seed" and not key.startswith("data."))


def width_key(leaves: Leaves) -> str | None:
    """Return the leaf of mark WIDTH: its values may differ within a pack at the price of padding."""
    return next((key for key, declared in declarations(leaves).items() if declared.mark is Mark.WIDTH), None)


def check(leaves: Leaves) -> None:
    """Raise `ConfigError` for the first leaf outside its declared range, and for components at odds with themselves."""
    for key, declaration in declarations(leaves).items():
        declaration.check(key, leaves[key])
    for key in leaves:
        if key.endswith("._target_"):
            _check_component(leaves, key.removesuffix("._target_"))


def _check_component(leaves: Leaves, name: str) -> None:
    built = build(leaves, name)
    widths = [
        field.name
        for field in dataclasses.fields(built)
        if (declared := field.metadata.get("leaf")) is not None and declared.mark is Mark.WIDTH
    ]
    if len(widths) > 1:
        raise ConfigError(
            f"{name}: {type(built).__name__} has {len(widths)} fields of mark WIDTH ({', '.join(widths)}); trials are packed by"
            " one width, so give the others the mark STATIC"
        )
    if hasattr(built, "check"):
        with inside(built, "check"):
            built.check()
