"""The leaves of one shape: checked, completed, and measured."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from ddlab.config.components import TARGET, component_class, public_name
from ddlab.config.declare import Leaf
from ddlab.config.trial import Leaves, build, check, declarations, load_leaves, resolved_data, train_settings, width_key
from ddlab.data import DataSource, Spec, describe
from ddlab.errors import ConfigError
from ddlab.measures import Measure
from ddlab.models import Model
from ddlab.models.size import settle_width, size_of
from ddlab.plan.shapes import NUM_PARAMS, Settled, Size
from ddlab.run.methods import method_of

# What the component at each place must be; `method_of` looks at the optimizer.
BASES = {"data": DataSource, "model": Model, "measures": Measure}


def settle(leaves: Leaves) -> Settled:
    """Check the leaves of one shape, fill in what is derived, measure its size, and say what it costs.

    Raises:
        ConfigError: a value out of range, or values at odds with each other.
    """
    check(leaves)
    leaves = {**leaves, **resolved_data(leaves)}
    _check_bases(leaves)
    spec = describe(build(leaves, "data"))
    model, method = build(leaves, "model"), method_of(leaves)
    _check_together(leaves, spec, model)
    method.check(leaves, model)
    if wanted := leaves.get(NUM_PARAMS):
        key, declared = _solved_for(leaves)
        width = settle_width(model, spec, wanted, key.removeprefix("model."), int(declared.high or wanted))
        leaves = {**leaves, key: width, NUM_PARAMS: None}
    shape = {key: value for key, value in leaves.items() if key.startswith("model.")}
    size = _size(json.dumps(shape, sort_keys=True), spec)
    return Settled(leaves, size, method.cost(leaves, size))


def _check_bases(leaves: Leaves) -> None:
    """Raise `ConfigError` where a component is not what its place asks for."""
    for key, target in leaves.items():
        owner, _, last = key.rpartition(".")
        base = BASES.get(key.partition(".")[0])
        if last == TARGET and base and not issubclass(component_class(owner, target), base):
            raise ConfigError(f"{key}={target}: must be a subclass of {public_name(base)}")


def _solved_for(leaves: Leaves) -> tuple[str, Leaf]:
    """Return the model's leaf that a wanted parameter count is solved for, and its declaration."""
    key = width_key(leaves)
    if key is None or not key.startswith("model."):
        model = component_class("model", leaves["model._target_"]).__name__
        raise ConfigError(f"{NUM_PARAMS}={leaves[NUM_PARAMS]}: {model} has no field of mark WIDTH to solve for")
    return key, declarations(leaves)[key]


def _check_together(leaves: Leaves, spec: Spec, model: Any) -> None:
    """Raise `ConfigError` where data, model and training are at odds with each other."""
    train = train_settings(leaves)
    if train.batch_size is not None and train.batch_size > spec.num_train:
        raise ConfigError(f"train.batch_size={train.batch_size}: must be at most the {spec.num_train} training examples")
    if spec.regression and train.loss != "mse":
        raise ConfigError(f"train.loss={train.loss}: must be mse, for real targets")
    if spec.test_nodes and not model.LINEAR_IN_INPUTS:
        raise ConfigError("data.num_test=null: is the exact risk of models linear in their inputs only; give a number")


@cache
def _size(model_config: str, spec: Spec) -> Size:
    return size_of(build(load_leaves(model_config), "model"), spec)
