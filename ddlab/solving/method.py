"""Solving as a way to run a pack: the functions that `ddlab.run.methods` asks of each."""

from __future__ import annotations

import jax

from ddlab.config.components import public_name
from ddlab.config.schema import Science, Start
from ddlab.config.trial import Leaves, parse
from ddlab.data import Spec
from ddlab.data.base import blank
from ddlab.errors import ConfigError
from ddlab.job.job import Job
from ddlab.losses import MSE
from ddlab.measures import AlongPath
from ddlab.measures.evaluate import Metrics
from ddlab.models import FeatureModel
from ddlab.plan.shapes import WIDTH
from ddlab.solving.cost import solving_cost as cost
from ddlab.solving.prepare import Prepared, prepare
from ddlab.solving.problem import make_problem
from ddlab.solving.run import SolvingRun
from ddlab.solving.solver import make_solver

__all__ = ["COUNTS_STEPS", "check", "cost", "metrics", "padded", "prepare", "run"]

COUNTS_STEPS = False


def check(config: Science, spec: Spec) -> None:
    """Raise `ConfigError` where a trial cannot be solved."""
    train = config.train
    for name, measure in config.measures.items():
        if isinstance(measure, AlongPath) or measure.needs_before:
            raise ConfigError(f"measures.{name}: is a measure of networks that are trained; measures.{name}=null turns it off")
    for name, found, wanted, is_wanted in (
        ("loss", public_name(type(train.loss)), "mse", isinstance(train.loss, MSE)),
        ("teacher", train.teacher and public_name(type(train.teacher)), "null", train.teacher is None),
        ("augment", train.augment and public_name(type(train.augment)), "null", train.augment is None),
        ("batch_size", train.batch_size, "null", train.batch_size is None),
        ("dtype", train.dtype, "float64", train.dtype == "float64"),
    ):
        if not is_wanted:
            raise ConfigError(f"train.{name}={found}: must be {wanted} for a closed-form optimizer (train=exact)")
    if config.start != Start():
        raise ConfigError("start: must be as it is by default for a closed-form optimizer, which has no first weights")
    if len(spec.output_shape) > 1:
        raise ConfigError(f"data: has targets of shape {spec.targets.shape}; a closed form takes one class or K real numbers")
    if not isinstance(config.model, FeatureModel):
        raise ConfigError("optimizer: a closed form needs a model linear in its parameters, such as linear or random_features")


def padded(leaves: Leaves) -> tuple[str, ...]:
    """Return the leaves of mark SIZE that trials are padded in: the width alone, not the examples."""
    del leaves
    return (WIDTH,)


def metrics(leaves: Leaves, spec: Spec) -> Metrics:
    """Return the shapes [E] (or [E, n]) of the metrics of a trial, without computing anything."""
    tiny = spec.of_size(1)
    problem = make_problem([leaves], [blank(tiny)])
    found = jax.eval_shape(make_solver(parse(leaves), tiny), problem)
    return {name: jax.ShapeDtypeStruct(array.shape[2:], array.dtype) for name, array in found.items()}


def run(job: Job, prepared: Prepared) -> None:
    """Run a pack from what is stored of it to its outcome."""
    SolvingRun(job, prepared).run()
