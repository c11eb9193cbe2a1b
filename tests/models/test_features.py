"""Models linear in their parameters: their features against what they are said to be."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from ddlab.config.trial import build
from ddlab.data import Field, Spec
from ddlab.errors import ConfigError
from ddlab.models import Init
from ddlab.models.size import count
from tests.exact import SPHERE, features_of
from tests.support import leaves_of, words_of

pytestmark = pytest.mark.numeric


def spec_of(length, num_outputs, tokens=None):
    return Spec(Field((length,), tokens), Field((num_outputs,)), {"train": 10, "test": 10})


SPEC = spec_of(8, 3)


def network(*overrides, spec=SPEC):
    return build(leaves_of(*overrides), "model").make(spec, Init(words_of(0)))


def features(x, *overrides, spec=SPEC):
    """Return the features of inputs, [N, width]."""
    return np.asarray(jax.jit(lambda x: network(*overrides, spec=spec).features(x))(x))


@pytest.mark.parametrize("model", ["linear", "random_features", "legendre"])
def test_the_parameters_are_features_times_outputs(model):
    spec = SPEC if model != "legendre" else spec_of(1, 3)
    assert count(build(leaves_of(f"model={model}", "model.width=7"), "model"), spec) == (21, 3)


def test_a_linear_model_sees_the_first_inputs():
    x = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    np.testing.assert_array_equal(features(x, "model=linear", "model.width=3"), x[:, :3])


def test_a_linear_model_is_not_wider_than_its_inputs():
    with pytest.raises(ConfigError, match=r"model\.width=9: must be at most 8"):
        network("model=linear", "model.width=9")
    with pytest.raises(ConfigError, match="tokens"):
        network("model=linear", "model.width=1", spec=spec_of(2, 3, 5))
    with pytest.raises(ConfigError, match="one real number"):
        network("model=legendre")


def test_legendre_features_are_orthonormal_polynomials():
    x = np.linspace(-1, 1, 41, dtype=np.float32)[:, None]
    words, spec = ("model=legendre", "model.width=6"), spec_of(1, 1)
    expected = [np.sqrt(2 * k + 1) * np.polynomial.legendre.Legendre.basis(k)(x[:, 0]) for k in range(6)]
    np.testing.assert_allclose(features(x, *words, spec=spec), np.stack(expected, axis=1), atol=2e-5)  # float32
    nodes, weights = np.polynomial.legendre.leggauss(10)
    at_nodes = features(nodes[:, None], *words, spec=spec)
    np.testing.assert_allclose(at_nodes.T @ (weights[:, None] / 2 * at_nodes), np.eye(6), atol=1e-5)


@pytest.mark.parametrize("bandwidth", [0.6, 1.5])
def test_fourier_features_have_the_gaussian_kernel(bandwidth):
    x = np.random.default_rng(0).normal(size=(6, 8)).astype(np.float32)
    words = ("model=random_features", "model.activation=fourier", "model.width=40000", f"model.bandwidth={bandwidth}")
    drawn = features(x, *words)
    squares = np.square(x[:, None] - x[None]).sum(axis=2)
    expected = np.exp(-squares / (2 * 8 * bandwidth**2))
    np.testing.assert_allclose(drawn @ drawn.T, expected, atol=5 / np.sqrt(40000))  # five standard errors, entries at most 1


@pytest.mark.parametrize(("activation", "mean_square"), [("relu", 0.5), ("erf", 2 / np.pi * np.arcsin(2 / 3))])
@pytest.mark.parametrize("weights", ["gaussian", "sphere"])
def test_features_of_normal_preactivations_have_their_mean_square(activation, mean_square, weights):
    """For ||x||^2 = d the preactivations are N(0, 1), for weights on the sphere as d grows."""
    spec = spec_of(100, 1)
    x = np.random.default_rng(0).normal(size=(1, 100))
    x = (x * 10 / np.linalg.norm(x)).astype(np.float32)
    words = ("model=random_features", f"model.activation={activation}", f"model.weights={weights}", "model.width=20000")
    assert float((features(x, *words, spec=spec) ** 2).sum()) == pytest.approx(mean_square, abs=5 * np.sqrt(1.25 / 20000))


def test_weights_on_the_sphere_have_its_radius():
    words = ("model=random_features", "model.weights=sphere", "model.width=5")
    weight = jax.jit(lambda: network(*words).columns.weight[...])()
    np.testing.assert_allclose(np.linalg.norm(weight * 8**0.5, axis=0), 8**0.5, rtol=1e-6)


def test_the_readout_starts_with_the_norm_that_was_asked_for():
    words = ("model=random_features", "model.width=4000", "model.init_scale=2.0")
    readout = np.asarray(jax.jit(lambda: network(*words).readout[...])())
    assert np.square(readout).sum(axis=0) == pytest.approx(4.0, rel=5 * np.sqrt(2 / 4000))
    assert not np.any(network("model=linear", "model.width=4").readout[...])


def test_beyond_the_active_width_features_and_readout_are_zero():
    x = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    for model in ("linear", "random_features"):
        leaves = leaves_of(f"model={model}", "model.width=3", "model.init_scale=1.0")

        @jax.jit
        def of_network(x, leaves=leaves):
            wide, alone = (build(leaves, "model").make(SPEC, Init(words_of(0), padded)) for padded in ({"width": 6}, {}))
            return wide.features(x), wide.readout[...], wide(x), alone(x)

        wide_features, wide_readout, wide, alone = of_network(x)
        np.testing.assert_array_equal(wide_features[:, 3:], 0)
        np.testing.assert_array_equal(wide_readout[3:], 0)
        np.testing.assert_allclose(wide, alone, rtol=1e-5, atol=1e-6)


def test_features_are_nested_in_their_number(float64):
    narrow, wide = (features_of(leaves_of(*SPHERE, f"model.width={width}"))[0] * width**0.5 for width in (10, 25))
    np.testing.assert_allclose(narrow, wide[:, :10], rtol=1e-12)
