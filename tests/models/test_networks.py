"""Forward passes against NumPy, and a network whose weights are known."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest

from ddlab.config.trial import build
from ddlab.data import Field
from ddlab.errors import ConfigError
from ddlab.models import Init
from tests.support import leaves_of, packed_equals_alone, weights_of, words_of

pytestmark = pytest.mark.numeric


def gelu(z):
    return 0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))


ACTIVATIONS = {"relu": lambda z: np.maximum(z, 0), "tanh": np.tanh, "gelu": gelu, "quadratic": np.square, "linear": np.positive}


@pytest.mark.parametrize(
    ("activation", "parametrization"),
    [
        ("relu", "standard"),
        ("tanh", "ntk"),
        ("gelu", "mean_field"),
        ("quadratic", "standard"),
        ("relu", "mean_field"),
        ("linear", "standard"),
    ],
)
def test_mlp_forward_pass_against_numpy(activation, parametrization):
    width = 6
    overrides = ("model.depth=2", f"model.width={width}", f"model.activation={activation}", "train.loss=mse", "measures=none")
    leaves = leaves_of(*overrides, f"model.parametrization={parametrization}", "data.num_train=50", "data.num_test=50")
    program, inputs, state, weights = weights_of(leaves)
    act = ACTIVATIONS[activation]
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


def test_an_mlp_with_layer_norm_and_residual_layers_against_numpy():
    words = ("model.depth=3", "model.width=6", "model.norm=layer", "model.residual=true", "train.loss=mse", "measures=none")
    program, inputs, state, weights = weights_of(leaves_of(*words, "data.num_train=50", "data.num_test=50"))
    units = inputs.shared["test_inputs"][0].astype(float)
    for layer in range(3):
        z = units @ weights[f"layers.{layer}.weight"] + weights[f"layers.{layer}.bias"]
        z = (z - z.mean(1, keepdims=True)) / np.sqrt(z.var(1, keepdims=True) + 1e-5)
        units = np.maximum(z, 0) + (units if layer else 0)
    outputs = units @ weights["layers.3.weight"] + weights["layers.3.bias"]
    expected = ((outputs - np.eye(10)[inputs.shared["test_targets"][0]]) ** 2).mean()
    np.testing.assert_allclose(jax.jit(program.evaluate)(state, inputs)["test_loss"][0], expected, rtol=1e-5)


ANALYTIC = (
    "data=modular",
    "model=quadratic_mlp",
    "model.initializer=analytic",
    "model.init_scale=1",
    "train.batch_size=null",
    "train.loss=mse",
)
SPECTRUM = (
    "+measures.spectrum._target_=ddlab.measures.EmbeddingSpectrum",
    "+measures.spectrum.parameter=first",
    "+measures.spectrum.modulus=${data.modulus}",
    "+measures.spectrum.operation=add",
    '+measures.spectrum.sequence="a b"',
)


@pytest.mark.parametrize(("width", "low", "high"), [(24, 0.25, 0.6), (48, 0.7, 0.97), (192, 0.99, 1.0), (500, 1.0, 1.0)])
def test_quadratic_mlp_begins_as_gromovs_solution_of_addition(width, low, high):
    """Gromov (2023): accuracy .41 / .86 / 1.0 at width 24 / 48 / 192 (REFERENCES, mean over phases); one frequency a neuron."""
    program, inputs, begun, weights = weights_of(leaves_of(*ANALYTIC, *SPECTRUM, f"model.width={width}"))
    found = jax.jit(program.evaluate)(begun, inputs)
    assert low <= 1 - found["test_error"][0] <= high
    np.testing.assert_allclose(found["inverse_participation_ratio"][0], 1, rtol=1e-5)
    a, b = np.divmod(np.arange(97**2), 97)
    outputs = (weights["first"][a] + weights["first"][97 + b]) ** 2 @ weights["second"]
    # Over all pairs the waves but that of a + b - c vanish: a mean over neurons of 2 cos^2(0) / 2 at scale 1.
    np.testing.assert_allclose(outputs[np.arange(97**2), (a + b) % 97].mean(), 1, rtol=1e-4)


def test_gromovs_solution_is_that_of_each_width_in_a_pack():
    sizes = ("data.modulus=7", "train.steps=20", "train.num_evals=3", "train.dtype=float64")
    with jax.enable_x64(True):
        packed_equals_alone([leaves_of(*ANALYTIC, *sizes, f"model.width={width}", f"seed={width}") for width in (5, 9)], 1e-9)


@pytest.mark.parametrize("words", [('data.sequence="a b ="',), ("data.operation=add_integers",), ("data=digits",)])
def test_gromovs_solution_is_of_pairs_mod_p(words):
    with pytest.raises(ConfigError, match=r"model\.initializer=analytic: solves a \+ b mod p"):
        weights_of(leaves_of(*ANALYTIC, *words))


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
