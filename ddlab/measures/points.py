"""Eval points: the steps at which metrics are recorded."""

from __future__ import annotations

import numpy as np

from ddlab.config.schema import Train


def eval_steps(train: Train) -> np.ndarray:
    """Return the ascending distinct eval steps: 0, the last, and `num_evals` in all where that many differ."""
    if train.eval_spacing == "linear" or not train.steps:
        steps = np.linspace(0, train.steps, train.num_evals)
    else:
        steps = np.concatenate([[0], np.geomspace(train.steps, 1, train.num_evals - 1)])
    return np.unique(np.rint(steps).astype(int))


def recorded_steps(train: Train, clock: int) -> np.ndarray:
    """Return the steps at which a trial that begins at a step is measured: that one, and the eval steps behind it."""
    steps = eval_steps(train)
    return np.array([clock, *steps[steps > clock]])


def due_steps(train: Train, every: int) -> np.ndarray:
    """Return the ascending eval steps at which a measure with this `every` is due: every so many, and the last."""
    steps = eval_steps(train)
    return np.unique([*steps[::every], steps[-1]])
