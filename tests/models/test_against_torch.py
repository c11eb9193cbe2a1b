"""Convolutional networks and vision transformers against PyTorch, from the same weights: loss, gradient, batch statistics."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
import pytest

from tests.reference.networks import CASES, SHARED
from tests.support import leaves_of, make_pack, named_leaves

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("fast_packs", "float64")]

GOLDEN = Path(__file__).parent.parent / "reference" / "torch_networks.npz"


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN) as stored:
        return dict(stored)


def stored(golden, case, kind):
    prefix = f"{case}/{kind}/"
    return {name.removeprefix(prefix): array for name, array in golden.items() if name.startswith(prefix)}


@pytest.mark.parametrize("case", CASES)
def test_loss_gradient_and_batch_statistics_are_those_of_pytorch(golden, case):
    """The gradient is that of a step of gradient descent."""
    program, inputs = make_pack([leaves_of(*SHARED, *CASES[case])])
    state = jax.device_get(jax.jit(program.init)(inputs))
    weights = stored(golden, case, "weights")
    assert named_leaves(state.trial.params).keys() == weights.keys()
    arrays = [weights[name][None] for name in named_leaves(state.trial.params)]
    params = jax.tree.unflatten(jax.tree.structure(state.trial.params), arrays)
    state = state._replace(trial=state.trial._replace(params=params))
    stepped = jax.jit(program.advance)(state, inputs, np.int32(1)).trial
    gradient, found = stored(golden, case, "gradient"), named_leaves(stepped.params)
    largest = max(np.abs(array).max() for array in gradient.values())
    for name, array in gradient.items():
        np.testing.assert_allclose(weights[name] - found[name][0], array, rtol=1e-9, atol=1e-9 * largest, err_msg=name)
    moving = stored(golden, case, "moving")
    assert named_leaves(stepped.moving).keys() == moving.keys()
    for name, array in named_leaves(stepped.moving).items():
        np.testing.assert_allclose(array[0], moving[name], rtol=1e-9, err_msg=name)
    if not moving:  # else it is evaluated by the averages over batches
        loss = jax.jit(program.evaluate)(state, inputs)["train_loss"][0]
        np.testing.assert_allclose(loss, golden[f"{case}/loss"], rtol=1e-9)


@pytest.mark.torch
def test_what_is_stored_is_what_pytorch_says(golden):
    from tests.reference.torch_networks import all_networks

    found = all_networks()
    assert found.keys() == golden.keys()
    for name, array in found.items():
        np.testing.assert_allclose(array, golden[name], rtol=1e-9, atol=1e-12, err_msg=name)
