"""Evaluates planned trials on paper, before anything is stored: what their components' own code gets wrong shows here.

Nothing is computed or compiled: JAX follows the shapes. One trial stands for all that have the same components.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ddlab.config.declare import Mark
from ddlab.config.trial import Leaves, build, marked, train_settings
from ddlab.data import describe
from ddlab.devices.local import precision
from ddlab.job.outcomes import number_of
from ddlab.plan.trial import Trial
from ddlab.run.methods import method_of


def rehearse(trials: Sequence[Trial], named: Mapping[str, str]) -> None:
    """Find out what the metrics of every trial are called.

    Args:
        trials: of a sweep.
        named: keys of the sweep that name a metric of every trial -> the metric.

    Raises:
        ComponentError: from the code of a model or a measure.
        ConfigError: two measures give one name, or `train.stop_metric` or another key names no metric.
    """
    shapes = {id(trial.shape): trial.shape.leaves for trial in trials}.values()
    for leaves in {_components(leaves): leaves for leaves in shapes}.values():
        train = train_settings(leaves)
        with precision(train):
            metrics = method_of(leaves).metrics(leaves, describe(build(leaves, "data")))
        stopping = {} if train.stop_metric is None else {"train.stop_metric": train.stop_metric}
        for key, metric in {**stopping, **named}.items():
            number_of(metrics, key, metric)


def _components(leaves: Leaves) -> tuple[tuple[str, Any], ...]:
    """Return what decides which metrics there are, and whether each group of parameters has some."""
    places = (
        "measures.",
        *(("model.", "optimizer.groups.") if any(key.startswith("optimizer.groups.") for key in leaves) else ()),
    )
    static = {key for key in marked(leaves, Mark.STATIC) if key.startswith(places)}
    decide = {"train.stop_metric", *static}
    return tuple((key, value) for key, value in leaves.items() if key.endswith("_target_") or key in decide)
