"""From what a user names, a class or an option of a config group, to a tiny trial around it.

The rest of the trial is chosen here: small shipped components, the first with which the trial can be planned.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, get_type_hints

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ddlab.augment import Augment
from ddlab.compose.explain import explain
from ddlab.compose.files import read_checked, read_option
from ddlab.compose.hydra import quoted, version_base
from ddlab.compose.schema import offer, register
from ddlab.compose.typed import resolved, typed
from ddlab.compose.words import compose_words
from ddlab.config import catalog
from ddlab.config.components import TARGET, component_class, public_name
from ddlab.config.declare import Leaf, declared
from ddlab.config.schema import Science
from ddlab.config.trial import Leaves, build, check, declarations, resolved_data
from ddlab.contracts.subject import (
    AUGMENT,
    CLOSED_FORM,
    DATA,
    FEATURE_MODEL,
    LOSS,
    MEASURE,
    MODEL,
    MODIFIER,
    OPTIMIZER,
    SCHEDULE,
    SCORE,
    SOLVER_MEASURE,
    Subject,
)
from ddlab.contracts.values import shrunk, small_value
from ddlab.data import DataSource, describe
from ddlab.errors import ComponentError, ConfigError, DdlabError, suggest
from ddlab.losses import Loss
from ddlab.measures import Measure
from ddlab.models import FeatureModel, Model
from ddlab.optimizers import Modifier, Optimizer, Schedule, SpectralFilter
from ddlab.run.settle import settle
from ddlab.starts import Score

# The base class of each kind of component, and where it stands in the config.
KINDS: dict[str, tuple[Any, str]] = {
    DATA: (DataSource, "data"),
    FEATURE_MODEL: (FeatureModel, "model"),
    MODEL: (Model, "model"),
    OPTIMIZER: (Optimizer, "optimizer"),
    CLOSED_FORM: (SpectralFilter, "optimizer"),
    SCHEDULE: (Schedule, "optimizer.schedule"),
    MODIFIER: (Modifier, "optimizer.modifiers"),
    LOSS: (Loss, "train.loss"),
    AUGMENT: (Augment, "train.augment"),
    SCORE: (Score, "start.mask.score"),
    MEASURE: (Measure, "measures"),
}
BASES = tuple(base for base, _ in KINDS.values())

# Places of components that have names, and what one of a user's own is called there.
NAMED, OWN_NAME = ("measures", "optimizer.modifiers"), "checked"

# The rest of the trial: how it is trained, or solved; what it is trained on, and what solves it, where it is not about that.
STEPS = 24
# Eval points at the start, half-way and at the end.
EVALS = ("train.num_evals=3", "train.eval_spacing=linear")
TRAINED = ("measures=none", f"train.steps={STEPS}", *EVALS, "train.batch_size=null", "train.dtype=float64")
SOLVED = ("measures=none", "train=exact", f"train.steps={STEPS}", *EVALS)
SGD = ("optimizer=sgd", "optimizer.learning_rate=0.1")
FLOW = ("optimizer=gradient_flow", "optimizer.learning_rate=0.1")
NETWORK = ("data=digits", "model=mlp")
NOISY = ("data.label_noise=0.3", *NETWORK)
FEATURES = ("data=sphere", "model=random_features", "model.init_scale=0.5")
TOKENS = ("data=modular", "data.sequence='a b ='", "model=transformer", "model.init_scale=0.3")
REAL = "train.loss=mse"
SETS = (("data=digits",), ("data=modular",), ("data=sphere", REAL), ("data=interval", REAL), ("data=mnist1d",))

# What there must be for a component to have its place.
BESIDE = {"start.mask.score": ("start.mask=cut",)}

# What a component is tried with, the first choice first: overrides of a trial that is trained, and of one that is solved.
PARTNERS: dict[str, list[tuple[tuple[str, ...], tuple[str, ...]]]] = {
    MODEL: [((*TRAINED, *data, *SGD), ()) for data in SETS],
    FEATURE_MODEL: [((*TRAINED, *data, *SGD), (*SOLVED, *data, *FLOW)) for data in SETS],
    OPTIMIZER: [((*TRAINED, *NETWORK), ())],
    SCHEDULE: [((*TRAINED, *NETWORK, *SGD), ())],
    MODIFIER: [((*TRAINED, *NETWORK, *SGD), ())],
    LOSS: [((*TRAINED, *data, "model=mlp", *SGD), ()) for data in (("data=digits",), ("data=interval",))],
    AUGMENT: [((*TRAINED, "data=mnist1d", "model=mlp", *SGD), ())],
    SCORE: [((*TRAINED, *NETWORK, *SGD), ())],
    CLOSED_FORM: [((), (*SOLVED, *FEATURES))],
    MEASURE: [((*TRAINED, *words, *SGD), ()) for words in (NOISY, TOKENS)],
    SOLVER_MEASURE: [((), (*SOLVED, *FEATURES, *FLOW))],
}


@dataclasses.dataclass(frozen=True)
class Target:
    """What is checked.

    Attributes:
        name: as the user gave it.
        classes: of its components: one, or those of an option that holds several measures.
        key: where it stands in the config.
        choice: the overrides that put it there.
    """

    name: str
    classes: tuple[type, ...]
    key: str
    choice: tuple[str, ...]

    @property
    def kind(self) -> str:
        """What it is."""
        reads_spectrum = any(issubclass(cls, Measure) and cls.needs_spectrum for cls in self.classes)
        return SOLVER_MEASURE if reads_spectrum else _kind(self.name, self.classes[0])


def compose_subject(name: str, words: Sequence[str] = ()) -> Subject:
    """Return the tiny trial around a component.

    Args:
        name: dotted name of its class, or an option of a config group such as "model=mlp".
        words: `field=value` for its own fields, and overrides of the rest of the trial, such as "data=modular".

    Raises:
        ConfigError: there is no such component, or a field whose value cannot be guessed has none.
        ComponentError: it can be tried with nothing; the line is of the first attempt.
    """
    target = _option(name) if "=" in name else _class(name)
    given = tuple(_whole(target, word) for word in words)
    if target.kind == DATA:
        source = _compose(target, TRAINED, given)
        check(source)
        with suppress(ComponentError):  # what is wrong in its own code is for the rules to say
            describe(build({**source, **resolved_data(source)}, "data"))
        return Subject(name, DATA, "data", source)
    errors = []
    for trained, solved in PARTNERS[target.kind]:
        try:
            ways = [settle(_compose(target, words, given)).leaves if words else None for words in (trained, solved)]
        except DdlabError as error:
            errors.append(error)
            continue
        leaves = ways[0] or ways[1]
        assert leaves is not None
        return Subject(name, target.kind, target.key, leaves, ways[1])
    first = errors[0]
    if isinstance(first, ComponentError) and len(errors) > 1:
        tried = ", ".join(sorted({name for words in PARTNERS[target.kind] for name in words[0] if name.startswith("data=")}))
        raise ComponentError(f"{first} (tried with {tried}; data=OPTION names another)") from first
    raise first


def _option(name: str) -> Target:
    """Return the target that an option such as "model=mlp" names."""
    group, _, option = name.partition("=")
    if group not in catalog.PLACES:
        raise ConfigError(f"{name}: no config group of components. {suggest(group, catalog.PLACES)}")
    if name not in catalog.component_options():
        known = catalog.config_groups(catalog.search_path())[group]
        raise ConfigError(f"{name}: no such option with a component. {suggest(option, known)}")
    place = catalog.place(group, option)
    choices = (*BESIDE.get(place, ()), f"{place}={option}")
    node = OmegaConf.select(_composed(choices), place)
    nodes = [node] if TARGET in node else list(node.values())
    classes = tuple(component_class(place, each[TARGET]) for each in nodes)
    return Target(name, classes, place, choices)


def _class(name: str) -> Target:
    """Return the target that a class such as "mine.MyModel" names."""
    if "." not in name:
        raise ConfigError(
            f"{name}: name a class as module.Class, or an option as group=option. {suggest(name, catalog.component_options())}"
        )
    try:
        cls = component_class("", name)
    except ConfigError as error:
        raise ConfigError(str(error).removeprefix(f".{TARGET}=")) from error
    place = KINDS[_kind(name, cls)][1]
    if place in NAMED:
        key = f"{place}.{OWN_NAME}"
        return Target(name, (cls,), key, (f"+{key}.{TARGET}={name}",))
    if "." in place:
        return Target(name, (cls,), place, (*BESIDE.get(place, ()), f"{place}={{{TARGET}:{name}}}"))
    return Target(name, (cls,), place, (f"~{place}", f"+{place}.{TARGET}={name}"))


def _kind(name: str, cls: type) -> str:
    for kind, (base, _) in KINDS.items():
        if issubclass(cls, base):
            return kind
    bases = ", ".join(map(public_name, BASES))
    raise ConfigError(f"{name}: is no component; derive it from one of {bases}")


def _whole(target: Target, word: str) -> str:
    """Return an override of the user by its whole key: a bare field is one of the target."""
    name, equals, value = word.partition("=")
    if not equals:
        raise ConfigError(f"{word}: must be field=value, or an override of the trial that it is tried in, such as data=modular")
    if "." in name or name in declared(Science):
        return word
    cls = target.classes[0]
    known = [field.name for field in dataclasses.fields(cls)]
    if name not in known:
        raise ConfigError(f"{word}: {cls.__name__} has no field '{name}'. {suggest(name, known)}".rstrip())
    return f"++{target.key}.{name}={value}"


def _compose(target: Target, partners: Sequence[str], given: Sequence[str]) -> Leaves:
    """Return the leaves of a trial: the target and its partners, small where the user has not said how large."""
    chosen = [*target.choice, *given]
    keys = {word.partition("=")[0].lstrip("+") for word in chosen}
    config = _composed((*(word for word in partners if not {word.partition("=")[0], word.partition(".")[0]} & keys), *chosen))
    if "=" not in target.name:
        _complete(config, target)
    leaves = resolved(typed(config))
    if leaves["train.dtype"] != "float64":
        raise ConfigError(f"train.dtype={leaves['train.dtype']}: must be float64 in a check, which tells rounding from mistakes")
    kept = {key for key in leaves if key in keys or key.startswith("train.")}
    return {key: value if key in kept else shrunk(key, declarations(leaves)[key], value) for key, value in leaves.items()}


def _complete(config: DictConfig, target: Target) -> None:
    """Give the fields of a class that have no value one."""
    (cls,), node = target.classes, OmegaConf.select(config, target.key)
    OmegaConf.set_struct(config, False)
    hints = get_type_hints(cls)
    for field in dataclasses.fields(cls):
        if field.name not in node and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            node[field.name] = _value(f"{target.name}.{field.name}", declared(cls)[field.name], hints[field.name])


def _value(key: str, declaration: Leaf, kind: Any) -> Any:
    """Return a value for a field: a component where it holds one, else a small number."""
    if declaration.group is None:
        return small_value(key, declaration, kind)
    return read_option(key, declaration.group, catalog.config_groups(catalog.search_path())[declaration.group][0])


def _composed(overrides: Sequence[str]) -> DictConfig:
    """Return the config of a trial; config groups of the working directory count.

    Raises:
        ConfigError: a mistake in the overrides.
    """
    register()
    offer("contract", {"defaults": ["ddlab", "_self_"]})
    base = catalog.shipped("configs") / "ddlab.yaml"
    read_checked(base, overrides)
    directories = catalog.search_path()
    search = ",".join(quoted(f"file://{directory}") for directory in directories)
    GlobalHydra.instance().clear()
    try:
        for override in OverridesParser.create().parse_overrides(list(overrides)):
            if override.is_sweep_override():
                raise ConfigError(f"{str(override.input_line).lstrip('+')}: is a sweep; a component is checked at one value")
        with initialize_config_dir(str(directories[0]), **version_base()):
            words = [f"hydra.searchpath=[{search}]", *overrides]
            return compose_words(lambda words: compose("contract", overrides=words), words).config
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error, base, overrides)) from error
