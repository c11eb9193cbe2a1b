"""Trajectories of 100 full-batch steps against PyTorch, from the same initial weights."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
import pytest

from ddlab.config.trial import parse
from ddlab.data import Dataset, Split
from ddlab.training.program import make_inputs, make_program
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


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("model", MODELS)
def test_trajectory_equals_pytorch(golden, model, optimizer):
    """In float64 here, so that which side of a ReLU's kink a rounding falls on depends on no processor; PyTorch's are float32."""
    overrides, alphabet, outputs = MODELS[model]
    full_batch = ("train.batch_size=null", "train.steps=100", "train.dtype=float64")
    leaves = leaves_of(*overrides, *OPTIMIZERS[optimizer], *full_batch)
    x, y = golden[f"{model}/x"], golden[f"{model}/y"]
    dataset = Dataset(dict.fromkeys(("train", "test"), Split(x, y)), outputs, alphabet)
    with jax.enable_x64(True):
        program = make_program(parse(leaves), dataset.spec)
        inputs = make_inputs([leaves], [dataset])
        state = jax.jit(program.init)(inputs)
        names = sorted((name for name in golden if name.startswith(f"{model}/{optimizer}/")), key=_layer_order)
        starts = [golden[f"{model}/{name.rpartition('/')[2]}"] for name in names]
        leaves_now, tree = jax.tree.flatten(state.trial.params)
        assert [leaf.shape[1:] for leaf in leaves_now] == [start.shape for start in starts]
        params = jax.tree.unflatten(tree, [start[None].astype(float) for start in starts])
        state = state._replace(trial=state.trial._replace(params=params))
        state = jax.jit(program.advance)(state, inputs, np.int32(100))
    for name, leaf, start in zip(names, jax.tree.leaves(state.trial.params), starts, strict=True):
        error = np.linalg.norm(np.asarray(leaf[0]) - golden[name]) / np.linalg.norm(golden[name])
        assert error < 1e-4, name
        assert np.linalg.norm(golden[name] - start) > 0.1 * np.linalg.norm(start), name


def _layer_order(name: str) -> tuple[int, str]:
    """Order as the pytree has it: layer by layer, bias before weight."""
    last = name.rpartition("/")[2]
    return int(last[1:]), last[0]


@pytest.mark.torch
def test_golden_trajectories_are_those_of_pytorch(golden):
    from tests.reference.torch_trajectories import all_trajectories

    for name, array in all_trajectories().items():
        np.testing.assert_allclose(array, golden[name], rtol=1e-5, atol=1e-6, err_msg=name)
