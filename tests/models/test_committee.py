"""The committee against NumPy, and in packs."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from ddlab.errors import ConfigError
from tests.support import FLOAT64, leaves_of, make_pack, packed_equals_alone, weights_of

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("fast_packs", "float64")]

D = 8
SHARED = (
    "data=teacher",
    "data.teacher=square",
    f"data.num_features={D}",
    f"data.input_scale={D**-0.5}",
    "data.num_train=30",
    "data.num_test=20",
    "model=committee",
    "train.loss=mse",
    "train.batch_size=null",
    FLOAT64,
)


def test_the_forward_pass_against_numpy():
    fields = ("model.width=6", "model.output_scale=3", "model.curvature=0.7", "model.init_scale=2")
    program, inputs, state, weights = weights_of(leaves_of(*SHARED, *fields))
    x, y = (inputs.shared[f"test_{name}"][0] for name in ("inputs", "targets"))
    outputs = [3 / 6 * sum(h + 0.7 * h**2 / 2 for h in weights["weight"].T @ one) for one in x]
    measured = jax.jit(program.evaluate)(state, inputs)["test_loss"][0]
    np.testing.assert_allclose(measured, np.mean((np.array(outputs) - y[:, 0]) ** 2), rtol=1e-12)
    assert list(weights) == ["weight"]


def test_the_weights_begin_as_normal_numbers_of_the_given_scale():
    *_, weights = weights_of(leaves_of(*SHARED, "model.width=2000", "model.init_scale=0.3"))
    np.testing.assert_allclose(np.std(weights["weight"]), 0.3, rtol=5 / np.sqrt(2 * 2000 * D))


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("linearised", [False, True])
def test_it_descends_as_in_numpy(centred, linearised):
    """Linearised: as a linear model of its first derivatives at the start."""
    fields = ("model.width=6", "model.output_scale=3", "model.curvature=0.7")
    kinds = (f"model.centred={centred}", f"model.linearised={linearised}")
    run = ("optimizer=sgd", "optimizer.momentum=0", "optimizer.learning_rate=0.1")
    program, inputs, begun, weights = weights_of(leaves_of(*SHARED, *fields, *kinds, *run))
    start = weights["weight"]

    def slopes(x, weight):
        return 3 / 6 * (1 + 0.7 * x @ (start if linearised else weight))

    def outputs(x, weight):
        h, before = x @ weight, x @ start
        kept = before + 0.7 * before**2 / 2
        found = kept + (1 + 0.7 * before) * (h - before) if linearised else h + 0.7 * h**2 / 2
        return 3 / 6 * np.sum(found - kept if centred else found, axis=1)

    (x, y), (test_x, test_y) = (
        (inputs.shared[f"{name}_inputs"][0], inputs.shared[f"{name}_targets"][0][:, 0]) for name in ("train", "test")
    )
    weight = start
    for _ in range(20):
        weight = weight - 0.1 * 2 / len(y) * x.T @ ((outputs(x, weight) - y)[:, None] * slopes(x, weight))

    def trained(state, inputs):
        return program.evaluate(program.advance(state, inputs, 20), inputs)["test_loss"][0]

    np.testing.assert_allclose(jax.jit(trained)(begun, inputs), np.mean((outputs(test_x, weight) - test_y) ** 2), rtol=1e-10)


@pytest.mark.parametrize("kind", [(), ("model.centred=true",), ("model.centred=true", "model.linearised=true")])
def test_widths_and_scales_of_one_pack_are_each_what_they_are_alone(kind):
    run = ("train.steps=60", "train.num_evals=3", "optimizer=sgd")
    sizes = ((5, 1.0, 0.25), (9, 4.0, 0.1), (3, 0.5, -1.0))
    trials = [
        leaves_of(
            *SHARED,
            *run,
            *kind,
            f"model.width={width}",
            f"model.output_scale={alpha}",
            f"model.curvature={eps}",
            f"optimizer.learning_rate={0.5 * width / alpha**2}",
            f"seed={seed}",
        )
        for seed, (width, alpha, eps) in enumerate(sizes)
    ]
    packed_equals_alone(trials, 1e-9)


def test_data_of_several_outputs_are_refused():
    with pytest.raises(ConfigError, match="a committee has one output; the data wants 10"):
        make_pack([leaves_of("model=committee")])
