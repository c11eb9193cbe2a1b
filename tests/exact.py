"""Helpers of the tests of the exact solver: problems, their solution, and their features as NumPy sees them."""

from __future__ import annotations

import itertools
from functools import cache

import jax
import numpy as np

from ddlab.config.trial import build, parse
from ddlab.data.loader import Loader
from ddlab.models import Init
from ddlab.solving.problem import make_problem
from ddlab.solving.solver import make_solver
from tests.support import words_of

EXACT = ("train=exact", "measures=exact", "optimizer=ridge")
GAUSSIAN = (*EXACT, "data=gaussian", "model=linear", "data.num_train=20", "data.num_features=40", "data.noise_variance=0.1")
SPHERE = (*EXACT, "data=sphere", "model=random_features", "data.num_train=20", "data.num_features=6", "data.num_test=30")
INTERVAL = (*EXACT, "data=interval", "model=legendre", "data.num_test=30", "data.noise_variance=0.1")


@cache
def solver_of(leaves, spec):
    return jax.jit(make_solver(parse(dict(leaves)), spec))


def solve(trials, widest=None):
    """Return the metrics of trials of one problem and one width, name -> [L, E]."""
    return {name: values[0] for name, values in solve_widths([trials], widest or trials[0]).items()}


def solve_widths(trials, widest):
    """Return the metrics of the trials of one problem at several widths, name -> [W, L, E]."""
    flat = list(itertools.chain(*trials))
    datasets = Loader().load(flat)
    solver = solver_of(tuple(widest.items()), datasets[0].spec)
    problem = make_problem(flat, datasets, len(trials))
    return {name: np.asarray(x) for name, x in solver(problem).items()}


def network_of(leaves, spec):
    return build(leaves, "model").make(spec, Init(words_of(leaves["seed"]), dtype=np.float64))


def start_of(leaves, spec):
    """Return the initial readout of a trial."""
    return np.asarray(jax.jit(lambda: network_of(leaves, spec).readout[...])())


def features_of(leaves):
    """Return (training features, test features, data set) of a trial, from its network."""
    dataset = Loader().load([leaves])[0]

    @jax.jit
    def features(*inputs):
        return [network_of(leaves, dataset.spec).features(x) for x in inputs]

    return *map(np.asarray, features(dataset.train.inputs.astype(float), dataset.test.inputs.astype(float))), dataset
