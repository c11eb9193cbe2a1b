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


def test_linearised_it_descends_as_a_linear_model_of_its_first_derivatives():
    fields = ("model.width=6", "model.output_scale=3", "model.curvature=0.7", "model.linearised=true")
    run = ("train.steps=20", "train.num_evals=2", "optimizer=sgd", "optimizer.momentum=0", "optimizer.learning_rate=0.1")
    program, inputs, weights = weights_of(leaves_of(*SHARED, *fields, *run))
    start = {}
    derivatives = {}
    data = {name: (inputs.shared[f"{name}_inputs"][0], inputs.shared[f"{name}_targets"][0][:, 0]) for name in ("train", "test")}
    for name, (x, _) in data.items():
        h = x @ weights["weight"]
        start[name] = 3 / 6 * np.sum(h + 0.7 * h**2 / 2, axis=1)
        derivatives[name] = (3 / 6 * x[:, :, None] * (1 + 0.7 * h)[:, None, :]).reshape(len(x), -1)
    moved = np.zeros(D * 6)
    for _ in range(20):
        residual = start["train"] + derivatives["train"] @ moved - data["train"][1]
        moved -= 0.1 * 2 * derivatives["train"].T @ residual / len(residual)
    expected = np.mean((start["test"] + derivatives["test"] @ moved - data["test"][1]) ** 2)

    def trained(inputs):
        return program.evaluate(program.advance(program.init(inputs), inputs, 20), inputs)["test_loss"][0]

    np.testing.assert_allclose(jax.jit(trained)(inputs), expected, rtol=1e-10)


@pytest.mark.parametrize("linearised", ["false", "true"])
def test_widths_and_scales_of_one_pack_are_each_what_they_are_alone(linearised):
    run = ("train.steps=60", "train.num_evals=3", "optimizer=sgd")
    sizes = ((5, 1.0, 0.25), (9, 4.0, 0.1), (3, 0.5, -1.0))
    trials = [
        leaves_of(
            *SHARED,
            *run,
            f"model.linearised={linearised}",
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
