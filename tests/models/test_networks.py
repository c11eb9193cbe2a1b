"""Forward passes against NumPy, and a network whose weights are known."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest

from ddlab.config.trial import build
from ddlab.data import Field
from ddlab.models import Init
from tests.support import leaves_of, make_pack, weights_of, words_of

pytestmark = pytest.mark.numeric


def gelu(z):
    return 0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))


@pytest.mark.parametrize(
    ("activation", "parametrization"),
    [("relu", "standard"), ("tanh", "ntk"), ("gelu", "mean_field"), ("quadratic", "standard"), ("relu", "mean_field")],
)
def test_mlp_forward_pass_against_numpy(activation, parametrization):
    width = 6
    overrides = ("model.depth=2", f"model.width={width}", f"model.activation={activation}", "train.loss=mse", "measures=none")
    leaves = leaves_of(*overrides, f"model.parametrization={parametrization}", "data.num_train=50", "data.num_test=50")
    program, inputs, state, weights = weights_of(leaves)
    act = {"relu": lambda z: np.maximum(z, 0), "tanh": np.tanh, "gelu": gelu, "quadratic": np.square}[activation]
    fans = {
        "standard": (1, 1, 1),
        "ntk": (40**-0.5, width**-0.5, width**-0.5),
        "mean_field": (40**-0.5, width**-0.5, 1 / width),
    }
    h = inputs.shared["test_inputs"][0].astype(float)
    for layer, multiplier in enumerate(fans[parametrization]):
        z = multiplier * (h @ weights[f"layers.{layer}.weight"] + weights[f"layers.{layer}.bias"])
        h = act(z) if layer < 2 else z
    expected = ((h - np.eye(10)[inputs.shared["test_targets"][0]]) ** 2).mean()
    measured = jax.jit(program.evaluate)(state, inputs)["test_loss"][0]
    np.testing.assert_allclose(measured, expected, rtol=1e-5)


def test_quadratic_mlp_solves_modular_addition_with_gromovs_weights():
    """The analytic solution of Gromov (2023): accuracy .41 / .86 / 1.0 at width 24 / 48 / 192 (REFERENCES, mean over phases)."""
    p = 97
    for width, low, high in ((24, 0.25, 0.6), (48, 0.7, 0.97), (192, 0.99, 1.0)):
        leaves = leaves_of(
            "data=modular", "model=quadratic_mlp", f"model.width={width}", "train.batch_size=null", "train.loss=mse"
        )
        program, inputs = make_pack([leaves])
        random = np.random.default_rng(0)
        k, first, second = np.arange(1, width + 1) % (p // 2) + 1, *(random.uniform(0, 2 * np.pi, (2, width)))
        tokens = np.arange(p)[:, None] * 2 * np.pi * k / p
        w1 = np.concatenate([np.cos(tokens + first), np.cos(tokens + second)])
        w2 = np.cos(tokens + first + second).T
        state = jax.jit(program.init)(inputs)
        leaves_now, tree = jax.tree.flatten(state.trial.params)
        new = [np.asarray(w, np.float32)[None] for w in (w1, w2)]
        assert [leaf.shape for leaf in leaves_now] == [array.shape for array in new]
        state = state._replace(trial=state.trial._replace(params=jax.tree.unflatten(tree, new)))
        accuracy = 1 - float(jax.jit(program.evaluate)(state, inputs)["test_error"][0])
        assert low <= accuracy <= high, (width, accuracy)


@pytest.mark.parametrize("model", ["quadratic_mlp", "mlp"])
def test_a_network_on_tokens_is_the_network_on_one_hot_inputs(model):
    leaves = leaves_of("data=modular", "data.modulus=7", f"model={model}", "model.width=12", "train.batch_size=null")
    tokens = build(leaves, "data").describe()
    one_hot = replace(tokens, inputs=Field((14,)))
    x = np.array([[3, 5], [0, 0], [6, 1]], np.int32)

    def outputs(spec, inputs):
        return jax.jit(lambda inputs: build(leaves, "model").make(spec, Init(words_of(0)))(inputs))(inputs)

    features = np.eye(7, dtype=np.float32)[x].reshape(3, 14)
    np.testing.assert_allclose(outputs(tokens, x), outputs(one_hot, features), rtol=1e-5, atol=1e-6)
