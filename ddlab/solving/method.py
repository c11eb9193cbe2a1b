"""Solving as a way to run a pack: the functions that `ddlab.run.methods` asks of each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax

from ddlab.config.trial import Leaves, hyper_keys
from ddlab.data import Spec
from ddlab.data.base import blank
from ddlab.errors import ConfigError
from ddlab.job.job import Job
from ddlab.measures.evaluate import Metrics
from ddlab.models import FeatureModel
from ddlab.solving.cost import solving_cost as cost
from ddlab.solving.prepare import Prepared, prepare
from ddlab.solving.problem import make_problem
from ddlab.solving.run import SolvingRun
from ddlab.solving.solver import make_solver

__all__ = ["COUNTS_STEPS", "check", "cost", "metrics", "prepare", "run"]

COUNTS_STEPS = False

# What a closed form asks of the training settings.
WANTED = {"train.loss": "mse", "train.batch_size": None, "train.dtype": "float64"}


def check(leaves: Leaves, model: Any) -> None:
    """Raise `ConfigError` where a trial cannot be solved."""
    for key, value in WANTED.items():
        if leaves[key] != value:
            raise ConfigError(f"{key}={leaves[key]}: must be {value or 'null'} for a closed-form optimizer (train=exact)")
    if not isinstance(model, FeatureModel):
        raise ConfigError("optimizer: a closed form needs a model linear in its parameters, such as linear or random_features")


def metrics(leaves: Leaves, spec: Spec) -> Metrics:
    """Return the shapes [E] (or [E, n]) of the metrics of a trial, without computing anything."""
    tiny = replace(spec, num_train=1, num_test=1)
    problem = make_problem([leaves], [blank(tiny)], hyper_keys(leaves), 1)
    found = jax.eval_shape(make_solver(leaves, tiny), problem)
    return {name: jax.ShapeDtypeStruct(array.shape[2:], array.dtype) for name, array in found.items()}


def run(job: Job, prepared: Prepared) -> None:
    """Run a pack from what is stored of it to its outcome."""
    SolvingRun(job, prepared).run()
