"""A mixture of experts is what NumPy makes of its weights."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from ddlab.config.trial import build
from ddlab.errors import ConfigError
from ddlab.parameters import named
from ddlab.run.settle import settle
from tests.support import leaves_of, make_pack

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("fast_packs", "float64")]

MOE = (
    "data=digits",
    "data.num_train=30",
    "model=moe",
    "model.experts=5",
    "model.width=3",
    "measures=none",
    "train.dtype=float64",
)


@pytest.mark.parametrize("top", [1, 2, 5])
def test_the_experts_of_the_largest_gates_count(top):
    leaves = leaves_of(*MOE, f"model.top={top}", "model.init_scale=3")
    program, inputs = make_pack([leaves])
    state = jax.device_get(jax.jit(program.init)(inputs))
    weights = {name: array[0].astype(float) for name, array in named(state.trial.params).items()}
    assert sum(array.size for array in weights.values()) == 5 * (64 * 3 + 3 + 3 * 10 + 10) + 64 * 5 + 5
    train = build(leaves, "data").load().train
    x = train.inputs.reshape(30, -1).astype(float)
    logits = x @ weights["router"] + weights["router_bias"]
    gates = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    outputs = np.zeros((30, 10))
    for row in range(30):
        for expert in np.argsort(gates[row])[-top:]:
            hidden = np.maximum(x[row] @ weights["first"][expert] + weights["first_bias"][expert], 0)
            outputs[row] += gates[row, expert] * (hidden @ weights["second"][expert] + weights["second_bias"][expert])
    losses = np.log(np.exp(outputs).sum(axis=1)) - outputs[np.arange(30), train.targets]
    found = jax.jit(program.evaluate)(state, inputs)["train_loss"][0]
    assert found == pytest.approx(losses.mean(), rel=1e-6)


def test_no_more_are_chosen_than_there_are():
    with pytest.raises(ConfigError, match=r"model\.top=6: must be at most model\.experts=5"):
        settle(leaves_of(*MOE, "model.top=6"))
