"""The leaves of one shape: checked, completed, and measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ddlab.augment import Augment
from ddlab.config.components import TARGET, component_class, is_component, public_name
from ddlab.config.declare import Leaf, Mark
from ddlab.config.schema import Science
from ddlab.config.trial import CLOCK, Leaves, check, declarations, joined, marked, parse, resolved_data
from ddlab.data import DataSource, Spec, describe
from ddlab.errors import ConfigError, inside
from ddlab.losses import Loss
from ddlab.measures import Measure
from ddlab.measures.evaluate import check_columns
from ddlab.models import Model
from ddlab.models.size import settle_width, size_at
from ddlab.optimizers import Group, Modifier, Optimizer, Schedule
from ddlab.plan.cost import Cost
from ddlab.plan.shapes import NUM_PARAMS, WIDTH, Settled, Shape
from ddlab.run.methods import method_of
from ddlab.starts import Values
from ddlab.store.results import OWN_COLUMNS


def settle(leaves: Leaves) -> Settled:
    """Check the leaves of one shape, fill in what is derived, measure its size, and say what it costs.

    Raises:
        ConfigError: a value out of range, or values at odds with each other.
    """
    check(leaves)
    leaves = {**leaves, **resolved_data(leaves)}
    config, method = parse(leaves), method_of(leaves)
    _check_bases(config)
    spec = describe(config.data)
    _check_together(config, spec)
    _check_start(config, leaves)
    check_columns(config.measures, spec.splits, OWN_COLUMNS)
    method.check(config, spec)
    if wanted := leaves.get(NUM_PARAMS):
        key, declared = _solved_for(leaves)
        width = settle_width(config.model, spec, wanted, key.removeprefix("model."), int(declared.high or wanted))
        leaves = {**leaves, key: width, NUM_PARAMS: None}
    size = size_at(leaves, spec)
    return Settled(leaves, size, method.cost(leaves, config, size), method.padded(leaves))


def join(shapes: Sequence[Shape]) -> Cost:
    """Return what the trials of some shapes, which one program can run, cost together: padded in each size to the largest."""
    leaves = joined([shape.leaves for shape in shapes])
    config = parse(leaves)
    num_train, num_test = (max(numbers) for numbers in zip(*(shape.size.examples for shape in shapes), strict=True))
    spec = describe(parse(shapes[0].leaves).data)  # that of the largest sizes may be of no data
    size = replace(size_at(leaves, spec), num_train=num_train, num_test=num_test)
    return method_of(leaves).cost(leaves, config, size)


def _check_bases(config: Science) -> None:
    """Raise `ConfigError` where a component is not what its place asks for; `method_of` looks at the optimizer."""
    wanted: list[tuple[str, Any, type]] = [
        ("data", config.data, DataSource),
        ("model", config.model, Model),
        ("train.loss", config.train.loss, Loss),
    ]
    wanted += _named("measures", config.measures, Measure)
    if config.train.augment is not None:
        wanted.append(("train.augment", config.train.augment, Augment))
    if isinstance(optimizer := config.optimizer, Optimizer):
        wanted.append(("optimizer.schedule", optimizer.schedule, Schedule))
        wanted += _named("optimizer.groups", optimizer.groups, Group)
        wanted += _named("optimizer.modifiers", optimizer.modifiers, Modifier)
    for key, component, base in wanted:
        if not is_component(component):
            raise ConfigError(f"{key}={component}: must be a component, a mapping with {TARGET}")
        if not isinstance(component, base):
            raise ConfigError(f"{key}.{TARGET}={public_name(type(component))}: must be a subclass of {public_name(base)}")


def _check_start(config: Science, leaves: Leaves) -> None:
    """Raise `ConfigError` where a trial is to go on from values that there are none of."""
    goes_on = isinstance(config.start.values, Values) and config.start.values.GOES_ON
    for key, word in (("start.go_on", True), ("start.optimizer", "kept")):
        if leaves[key] == word and not goes_on:
            words = "needs start.values of one trial at a step (trial), from which it goes on"
            raise ConfigError(f"{key}={'true' if word is True else word}: {words}")
    if leaves["start.go_on"] and leaves.get(CLOCK) is None:
        raise ConfigError(f"{CLOCK}=null: must be a step with start.go_on=true, as the trial may stop before its last")
    if leaves["start.go_on"] and leaves[CLOCK] >= leaves["train.steps"]:
        raise ConfigError(f"{CLOCK}={leaves[CLOCK]}: must be below train.steps={leaves['train.steps']} with start.go_on=true")


def _named(key: str, components: Mapping[str, Any], base: type) -> list[tuple[str, Any, type]]:
    return [(f"{key}.{name}", component, base) for name, component in components.items()]


def _solved_for(leaves: Leaves) -> tuple[str, Leaf]:
    """Return the model's leaf that a wanted parameter count is solved for, its width or its one size, and its declaration."""
    sizes = [key for key in marked(leaves, Mark.SIZE) if key.startswith("model.")]
    sizes = [WIDTH] if WIDTH in sizes else sizes
    if len(sizes) != 1:
        model = component_class("model", leaves["model._target_"]).__name__
        found = f"{len(sizes)} fields" if sizes else "no field"
        raise ConfigError(f"{NUM_PARAMS}={leaves[NUM_PARAMS]}: {model} has {found} of mark SIZE to solve for; it must be one")
    return sizes[0], declarations(leaves)[sizes[0]]


def _check_together(config: Science, spec: Spec) -> None:
    """Raise `ConfigError` where data, model and training are at odds with each other."""
    train = config.train
    if train.batch_size is not None and train.batch_size > spec.num_train:
        raise ConfigError(f"train.batch_size={train.batch_size}: must be at most the {spec.num_train} training examples")
    if spec.targets.size is None and not train.loss.REAL_TARGETS:
        found = public_name(type(train.loss))
        raise ConfigError(f"train.loss={found}: must be mse, or another loss of real numbers, for real targets")
    if train.teacher is not None and spec.targets.size is None:
        raise ConfigError("train.teacher: is of targets that are classes, and those of the data are real numbers")
    if train.teacher is not None and train.augment is not None:
        raise ConfigError("train.augment: must be null with train.teacher, whose outputs are for the inputs as they are")
    if train.augment is not None:
        with inside(train.augment, "check_inputs"):
            train.augment.check_inputs(spec.inputs)
    if spec.test_nodes and not config.model.LINEAR_IN_INPUTS:
        raise ConfigError("data.num_test=null: is the exact risk of models linear in their inputs only; give a number")
