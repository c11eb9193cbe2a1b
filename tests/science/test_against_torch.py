"""Trajectories of 100 full-batch steps against PyTorch, from the same initial weights."""

from __future__ import annotations

import re
from pathlib import Path

import jax
import numpy as np
import pytest

from ddlab.config.trial import parse
from ddlab.data import Dataset, Split
from ddlab.training.program import make_program
from ddlab.training.state import make_inputs
from tests.support import leaves_of

pytestmark = pytest.mark.numeric

GOLDEN = Path(__file__).parent.parent / "reference" / "torch_trajectories.npz"
MODELS = {
    "mlp": (("model=mlp", "model.depth=2", "model.width=9", "train.loss=cross_entropy"), None, 5),
    "quadratic": (("model=quadratic_mlp", "model.width=16", "train.loss=mse"), 7, 7),
}
OPTIMIZERS = {
    "sgd": ("optimizer=sgd", "optimizer.learning_rate=0.05", "optimizer.momentum=0.9", "optimizer.weight_decay=0.01"),
    "adamw": ("optimizer=adamw", "optimizer.learning_rate=0.01", "optimizer.b2=0.98", "optimizer.weight_decay=0.5"),
}


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN) as stored:
        return dict(stored)


# Name pattern -> factors of the learning rate and of the weight decay.
GROUPS = {"layers.0.*": (0.5, 2.0), "layers.1.*": (2.0, 0.25), "layers.2.weight": (0.1, 1.0), "layers.2.bias": (1.5, 0.0)}


def trained(golden, model, *overrides):
    """Return the weights at the start and after 100 steps in float64, each in the order of the layers, bias before weight."""
    words, alphabet, outputs = MODELS[model]
    leaves = leaves_of(*words, *overrides, "train.batch_size=null", "train.steps=100", "train.dtype=float64")
    x, y = golden[f"{model}/x"], golden[f"{model}/y"]
    dataset = Dataset(dict.fromkeys(("train", "test"), Split(x, y)), outputs, alphabet)
    starts = [golden[name] for name in names_of(golden, model)]
    with jax.enable_x64(True):
        program = make_program(parse(leaves), dataset.spec)
        inputs = make_inputs([leaves], [dataset])
        state = jax.jit(program.init)(inputs)
        leaves_now, tree = jax.tree.flatten(state.trial.params)
        assert [leaf.shape[1:] for leaf in leaves_now] == [start.shape for start in starts]
        params = jax.tree.unflatten(tree, [start[None].astype(float) for start in starts])
        state = state._replace(trial=state.trial._replace(params=params))
        state = jax.jit(program.advance)(state, inputs, np.int32(100))
    return starts, [np.asarray(leaf[0]) for leaf in jax.tree.leaves(state.trial.params)]


def names_of(golden, trajectory):
    """Return the names of the weights of a trajectory as the pytree has them: layer by layer, bias before weight."""
    found = [name for name in golden if re.fullmatch(rf"{trajectory}/[wb]\d", name)]
    return sorted(found, key=lambda name: (int(name[-1]), name[-2]))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("model", MODELS)
def test_trajectory_equals_pytorch(golden, model, optimizer):
    """In float64 here, so that which side of a ReLU's kink a rounding falls on depends on no processor; PyTorch's are float32."""
    starts, found = trained(golden, model, *OPTIMIZERS[optimizer])
    for name, weights, start in zip(names_of(golden, f"{model}/{optimizer}"), found, starts, strict=True):
        error = np.linalg.norm(weights - golden[name]) / np.linalg.norm(golden[name])
        assert error < 1e-4, name
        assert np.linalg.norm(golden[name] - start) > 0.1 * np.linalg.norm(start), name


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_groups_of_parameters_are_those_of_pytorch(golden, optimizer):
    """Both in float64: 100 steps grow a rounding of 1e-16 to far less than 1e-9."""
    groups = [
        f"+optimizer.groups.g{index}={{pattern:'{pattern}',learning_rate_factor:{rate},weight_decay_factor:{decay}}}"
        for index, (pattern, (rate, decay)) in enumerate(GROUPS.items())
    ]
    _, found = trained(golden, "mlp", *OPTIMIZERS[optimizer], *groups)
    for name, weights in zip(names_of(golden, f"groups/{optimizer}"), found, strict=True):
        assert np.linalg.norm(weights - golden[name]) < 1e-9 * np.linalg.norm(golden[name]), name
        assert np.linalg.norm(golden[name.replace("groups", "mlp")] - golden[name]) > 1e-3 * np.linalg.norm(golden[name]), name


@pytest.mark.torch
def test_golden_trajectories_are_those_of_pytorch(golden):
    from tests.reference.torch_trajectories import all_trajectories

    for name, array in all_trajectories().items():
        np.testing.assert_allclose(array, golden[name], rtol=1e-5, atol=1e-6, err_msg=name)
