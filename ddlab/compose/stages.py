"""The stages of a sweep: named sets of overrides, whose trials may start from those of the stages above.

    stages:
      dense: {}
      ticket: {rounds: 12, first: dense, start: {mask: {cut: magnitude, of: previous, drop: 0.2}}}
      reinit: {start: {draw: 1, mask: {copy: ticket}}}
      student: {model.width: 10, train: {teacher: {trial: dense, temperature: 4}}}

A stage takes over the overrides of the stage that its values come from (else its mask), but for `start`, and the axes of all that
it takes from, of its teacher, too; its own win. What it takes from is named by a field of mark `trial` (`ddlab.config.declare`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from omegaconf import DictConfig, OmegaConf

from ddlab.compose.files import read_option
from ddlab.compose.hydra import quoted
from ddlab.config.catalog import config_groups, search_path
from ddlab.config.components import TARGET, component_class
from ddlab.config.declare import Leaf, declared
from ddlab.config.schema import Science, Start
from ddlab.config.trial import flatten
from ddlab.errors import ConfigError, suggest
from ddlab.plan.shapes import PREVIOUS, ROUND

# What a stage says beside overrides.
OWN_KEYS = ("rounds", "first", ROUND, "axes", "start")

# Where the components lie that name trials, those first from which a stage takes over.
VALUES, MASK, TEACHER = "start.values", "start.mask", "train.teacher"


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        name: of it; empty: of a sweep without stages.
        overrides: key -> value, those that it has taken over included.
        axes: key -> values as the file gives them, likewise.
        labels: axes that are no keys of its config: its rounds, and those of what it starts from that are of their start.
        first: the stage that its first round follows; empty: it has none of its own.
    """

    name: str = ""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    axes: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, Any] = field(default_factory=dict)
    first: str = ""

    @property
    def words(self) -> list[str]:
        """Its overrides in Hydra's grammar."""
        return [f"{key}={_grammar(value)}" for key, value in self.overrides.items()]


def read_stages(stages: DictConfig | None) -> list[Stage]:
    """Return the stages of a composed config, in their order; one without a name where there are none.

    Raises:
        ConfigError: a stage that is none, or that starts from one which is not above it.
    """
    found: dict[str, Stage] = {}
    for name, node in ({} if stages is None else stages).items():
        content = OmegaConf.to_container(node, resolve=False) if isinstance(node, DictConfig) else node
        if not isinstance(content, Mapping | None):
            raise ConfigError(f"stages.{name}={content}: must be a mapping of overrides")
        if content is None:
            continue  # it is left out
        found[str(name)] = _stage(str(name), {str(key): value for key, value in content.items()}, found)
    return list(found.values()) or [Stage()]


def _stage(name: str, node: Mapping[str, Any], above: Mapping[str, Stage]) -> Stage:
    _check(name, node)
    rounds, first = node.get("rounds"), node.get("first", "")
    if rounds is not None and (not isinstance(rounds, int) or isinstance(rounds, bool) or rounds < 1):
        raise ConfigError(f"stages.{name}.rounds={rounds}: must be a whole number, at least 1")
    if (rounds is None) != (not first):
        raise ConfigError(f"stages.{name}: rounds and first go together: how many, and the stage that the first of them follows")
    own = flatten({key: value for key, value in node.items() if key not in OWN_KEYS})
    start, teacher = dict(_start(name, node.get("start") or {})), dict(_teacher(name, own))
    if twice := sorted(own.keys() & start.keys()):
        raise ConfigError(f"stages.{name}.{twice[0]}={own[twice[0]]}: is set twice, also as {start[twice[0]]}")
    fields = _fields({**start, **teacher})
    sources = _sources(name, {**start, **teacher}, fields, first, above)
    of_start = [source for key, source in sources if key != f"{TEACHER}.of"]
    replaced = ("start.", TEACHER) if teacher else ("start.",)
    base = {key: value for key, value in (of_start[0].overrides if of_start else {}).items() if not key.startswith(replaced)}
    if base.get(f"{TEACHER}.of") == PREVIOUS:
        raise ConfigError(f"stages.{name}: takes over {TEACHER}.of={PREVIOUS}; give it a teacher of its own, or {TEACHER}=null")
    axes = dict(node.get("axes") or {})
    overrides = {key: value for key, value in {**base, **own, **start, **teacher}.items() if key not in axes}
    taken = {key: value for _, source in sources for key, value in {**source.labels, **source.axes}.items()}
    labels = {key: value for key, value in taken.items() if key == ROUND or (key.startswith("start.") and key not in fields)}
    axes = {key: value for key, value in taken.items() if key not in labels} | axes
    if rounds:
        labels[ROUND] = list(range(1, rounds + 1))
    elif ROUND in node:
        labels[ROUND] = _rounds(name, node[ROUND])
    return Stage(name, overrides, axes, labels, first)


def _check(name: str, node: Mapping[str, Any]) -> None:
    """Raise `ConfigError` where what a stage says is of another type, or where it says what no stage may."""
    if not name.strip() or "${" in name:
        raise ConfigError(f"stages.{name}: a stage needs a name, without ${{...}}")
    for key, kind, words in (
        ("start", Mapping, "a mapping"),
        ("axes", Mapping, "a mapping"),
        ("first", str, "the name of a stage"),
    ):
        if node.get(key) is not None and not isinstance(node[key], kind):
            raise ConfigError(f"stages.{name}.{key}={node[key]}: must be {words}")
    known = {*declared(Science), *OWN_KEYS}
    for key in map(str, node):
        if key.split(".")[0] not in known:
            raise ConfigError(f"stages.{name}: unknown key '{key}'. {suggest(key, known)}".rstrip())


def _rounds(name: str, given: Any) -> list[int]:
    """Return the rounds that a stage takes of those of what it starts from: one, or some of them."""
    rounds = list(given) if isinstance(given, list) else [given]
    if not rounds or not all(isinstance(number, int) and not isinstance(number, bool) for number in rounds):
        raise ConfigError(f"stages.{name}.{ROUND}={given}: must be a round, or a list of some")
    return rounds


def _fields(overrides: Mapping[str, Any]) -> dict[str, Leaf]:
    """Return the declarations of the components that name trials, by key."""
    found: dict[str, Leaf] = {}
    for key in (VALUES, MASK, TEACHER):
        if isinstance(option := overrides.get(key), str) and (node := read_option(key, _group(key), option)):
            found |= {f"{key}.{name}": declaration for name, declaration in declared(component_class(key, node[TARGET])).items()}
    return found


def _sources(
    name: str, overrides: Mapping[str, Any], fields: Mapping[str, Leaf], first: str, above: Mapping[str, Stage]
) -> list[tuple[str, Stage]]:
    """Return the stages that one takes from, each with the key that names it, those of its values first."""
    named = [
        (key, stage)
        for key, leaf in fields.items()
        if leaf.trial and overrides.get(key)
        for stage in (overrides[key] if leaf.several and isinstance(overrides[key], list) else [overrides[key]])
    ]
    found = []
    for key, value in [*named, *([("first", first)] if first else [])]:
        stage = first if first and value == PREVIOUS else value
        if not isinstance(stage, str):
            raise ConfigError(f"stages.{name}.{key}={stage}: must be the name of a stage")
        if stage == PREVIOUS and not first:
            no_rounds = "is the trial of the round before; the stage has no rounds of its own"
            raise ConfigError(f"stages.{name}.{key}={PREVIOUS}: {no_rounds}")
        if stage in above:
            found.append((key, above[stage]))
        elif stage != PREVIOUS:
            raise ConfigError(f"stages.{name}.{key}={stage}: must be a stage above it. {suggest(str(stage), above)}".rstrip())
    return found


def _start(stage: str, node: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the overrides of a start, in which `{cut: magnitude, ...}` is the option `cut` with its first field `magnitude`."""
    for name, value in node.items():
        if name not in declared(Start):
            raise ConfigError(f"stages.{stage}.start: unknown key '{name}'. {suggest(name, declared(Start))}".rstrip())
        yield from _component(stage, f"start.{name}", value)


def _teacher(stage: str, own: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Take a teacher out of the overrides of a stage, and yield those that it stands for."""
    fields = {key.removeprefix(f"{TEACHER}."): own.pop(key) for key in list(own) if key.startswith(f"{TEACHER}.")}
    if TEACHER in own:
        named = own.pop(TEACHER)
        yield from _component(stage, TEACHER, {"trial": named, **fields} if fields and named else named)
    elif fields:
        yield from _component(stage, TEACHER, fields)


def _component(stage: str, key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the overrides that set a key to a value: the name of a stage, a component by its option and its fields, or null."""
    if isinstance(value, str) and key in (VALUES, TEACHER):
        yield from _option(stage, key, "trial", {"of": value})
    elif not isinstance(value, Mapping):
        yield key, value
    elif value:
        options = config_groups(search_path()).get(_group(key), ())
        yield from _option(stage, key, str(next((word for word in value if word in options), next(iter(value)))), value)


def _option(stage: str, key: str, option: str, values: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the overrides of a component: an option of its group, and its fields.

    The option's name stands for its first field, and one value for a list of one.
    """
    node = read_option(f"stages.{stage}.{key}", _group(key), option) or {}
    yield key, option
    first, *_ = declared(component_class(key, node[TARGET])) if node else [option]
    for word, value in values.items():
        name = first if word == option else word
        is_list = isinstance(node.get(name), list) and not isinstance(value, list)
        yield f"{key}.{name}", [value] if is_list else value


def _group(key: str) -> str:
    return key.rpartition(".")[2]


def _grammar(value: Any) -> str:
    """Return a value in Hydra's grammar of overrides."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{','.join(map(_grammar, value))}]"
    return quoted(value) if isinstance(value, str) else str(value)
