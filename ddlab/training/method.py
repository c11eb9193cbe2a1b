"""Training as a way to run a pack: the functions that `ddlab.run.methods` asks of each."""

from __future__ import annotations

import jax

from ddlab.config.declare import Mark
from ddlab.config.schema import Science
from ddlab.config.trial import Leaves, marked, parse
from ddlab.data import Spec
from ddlab.data.base import blank
from ddlab.errors import ConfigError
from ddlab.job.job import Job
from ddlab.measures import AlongPath
from ddlab.measures.evaluate import Metrics
from ddlab.training.begin import check_start
from ddlab.training.cost import training_cost as cost
from ddlab.training.prepare import Prepared, prepare
from ddlab.training.program import make_program
from ddlab.training.run import TrainingRun
from ddlab.training.state import Inputs, make_inputs

__all__ = ["COUNTS_STEPS", "check", "cost", "metrics", "padded", "prepare", "run"]

COUNTS_STEPS = True


def check(config: Science, spec: Spec) -> None:
    """Raise `ConfigError` where a trial cannot be trained."""
    check_start(config, spec)
    for name, measure in config.measures.items():
        if measure.needs_spectrum:
            raise ConfigError(f"measures.{name}: is a measure of the exact solver; measures.{name}=null turns it off")
        if isinstance(measure, AlongPath) and config.train.stop_metric is not None:
            found = f"train.stop_metric={config.train.stop_metric}"
            raise ConfigError(f"{found}: must be null with measures.{name}, which is measured at the end of training")
        if (isinstance(measure, AlongPath) or measure.needs_before) and config.start.go_on:
            raise ConfigError(f"start.go_on=true: must be false with measures.{name}, which is of the path from step 0")


def padded(leaves: Leaves) -> tuple[str, ...]:
    """Return the leaves of mark SIZE that trials are padded in: all that are not null."""
    return tuple(key for key in marked(leaves, Mark.SIZE) if leaves[key] is not None)


def metrics(leaves: Leaves, spec: Spec) -> Metrics:
    """Return the shapes [1] (or [1, n]) of the metrics of a trial, without computing anything."""
    data = blank(spec)
    program = make_program(parse(leaves), spec)
    tiny = make_inputs([leaves], [blank(spec.of_size(1))])
    shared = {name: jax.ShapeDtypeStruct((1, *array.shape), tiny.shared[name].dtype) for name, array in data.arrays.items()}
    inputs: Inputs = tiny._replace(shared=shared)
    return jax.eval_shape(program.evaluate, jax.eval_shape(program.init, inputs), inputs)


def run(job: Job, prepared: Prepared) -> None:
    """Run a pack from what is stored of it to its outcome."""
    TrainingRun(job, prepared).run()
