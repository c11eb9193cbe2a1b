"""Regression problems: what is drawn has the moments, the nesting and the seeds that it says."""

from __future__ import annotations

import numpy as np
import pytest

from ddlab.config.declare import declared
from ddlab.config.trial import build
from ddlab.errors import ConfigError
from tests.support import leaves_of

pytestmark = pytest.mark.numeric

# Problems, and how many numbers a target of theirs is.
PROBLEMS = {"gaussian": 1, "sphere": 1, "interval": 1, "teacher": 5}


def source(name, **fields):
    return build({**leaves_of(f"data={name}", "model=linear"), **{f"data.{key}": value for key, value in fields.items()}}, "data")


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_sizes_are_known_without_loading(name):
    data = source(name, num_train=7)
    assert data.describe() == data.load().spec
    assert data.load().train.targets.shape == (7, PROBLEMS[name])
    assert data.load().spec.noise_variance


@pytest.mark.parametrize("name", PROBLEMS)
def test_smaller_training_sets_are_nested_in_larger_ones(name):
    small, large = (source(name, num_train=n).load() for n in (5, 9))
    np.testing.assert_array_equal(small.train.inputs, large.train.inputs[:5])
    np.testing.assert_allclose(small.train.targets, large.train.targets[:5], rtol=1e-12)  # a product rounds by its shape
    np.testing.assert_array_equal(small.test.inputs, large.test.inputs)


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_noise_has_its_variance_and_its_levels_share_their_draws(name):
    clean, low, high = (source(name, num_train=4000, noise_variance=s2).load().train.targets for s2 in (0.0, 0.25, 1.0))
    np.testing.assert_allclose(2 * (low - clean), high - clean, rtol=1e-9)
    assert np.var(high - clean) == pytest.approx(1.0, abs=5 * np.sqrt(2 / 4000))
    assert source(name, noise_variance=0.25).load().noise_variance == 0.25


@pytest.mark.parametrize("name", PROBLEMS)
def test_each_seed_moves_its_own_draws(name):
    base = source(name, num_train=6, noise_variance=1.0).load()
    inputs, noise, target = (source(name, num_train=6, noise_variance=1.0, **{key: 5}).load() for key in SEEDS)
    assert not np.array_equal(inputs.train.inputs, base.train.inputs)
    np.testing.assert_array_equal(inputs.test.targets, base.test.targets)
    np.testing.assert_array_equal(noise.train.inputs, base.train.inputs)
    assert not np.array_equal(noise.train.targets, base.train.targets)
    np.testing.assert_array_equal(target.train.inputs, base.train.inputs)
    assert not np.array_equal(target.test.targets, base.test.targets) or name == "interval"


SEEDS = ("seed", "noise_seed", "target_seed")


@pytest.mark.parametrize("name", PROBLEMS)
def test_what_is_said_to_change_targets_only_leaves_the_inputs(name):
    """Trials that differ in these fields share one decomposition of the exact solver."""
    values = {"noise_variance": 0.7, "signal": 2.5, "noise_seed": 8, "num_relevant": 3, "hidden": 7, "depth": 1}
    values["coefficients"] = (1.0, -2.0)
    base = source(name, num_train=6).load()
    fields = [field for field, declaration in declared(type(source(name))).items() if declaration.targets]
    assert {"noise_variance", "noise_seed"} <= set(fields)
    for field in fields:
        other = source(name, num_train=6, **{field: values[field]}).load()
        np.testing.assert_array_equal(other.train.inputs, base.train.inputs)
        np.testing.assert_array_equal(other.test.inputs, base.test.inputs)


def test_gaussian_inputs_have_the_given_covariance_and_the_target_its_norm():
    data = source(
        "gaussian", num_train=20000, num_features=4, eigenvalues=(1.0, 9.0), noise_variance=0.0, signal=3.0, num_relevant=2
    )
    loaded = data.load()
    covariance = np.cov(loaded.train.inputs.T)
    np.testing.assert_allclose(np.diag(covariance), [1, 9, 1, 9], rtol=5 * np.sqrt(2 / 20000))
    assert abs(covariance[0, 1]) < 5 * 3 / np.sqrt(20000)
    beta = np.linalg.lstsq(loaded.train.inputs, loaded.train.targets)[0][:, 0]
    np.testing.assert_allclose(beta[2:], 0, atol=1e-12)
    assert np.sum(beta**2) == pytest.approx(3.0)


def test_the_direction_of_the_target_may_be_given():
    own = {"coefficients": (3.0, 0.0, -1.0), "noise_variance": 0.0, "num_train": 20, "num_features": 6, "signal": 5.0}
    loaded = source("gaussian", **own).load()
    beta = np.linalg.lstsq(loaded.train.inputs, loaded.train.targets)[0][:, 0]
    np.testing.assert_allclose(beta, np.array([3, 0, -1, 3, 0, -1]) / 2, atol=1e-12)


def test_at_the_nodes_the_mean_square_is_the_expectation_over_inputs():
    data = source("gaussian", num_features=3, eigenvalues=(1.0, 2.0, 5.0), num_train=5)
    nodes = data.load().test.inputs
    w = np.array([0.3, -1.0, 2.0])
    assert np.mean((nodes @ w) ** 2) == pytest.approx(w @ np.diag([1, 2, 5]) @ w)
    assert data.load().test_nodes
    assert not source("gaussian", num_test=10).load().test_nodes


def test_the_test_cutoff_takes_weak_directions_out_of_test_inputs_alone():
    whole, cut = (source("gaussian", num_train=10, num_features=10, test_cutoff=cutoff).load() for cutoff in (0.0, 0.3))
    np.testing.assert_array_equal(whole.train.inputs, cut.train.inputs)
    _, values, directions = np.linalg.svd(cut.train.inputs)
    weak = values < 0.3 * values[0]
    assert 0 < weak.sum() < 10
    np.testing.assert_allclose(cut.test.inputs @ directions[weak].T, 0, atol=1e-12)
    np.testing.assert_allclose(cut.test.inputs @ directions[~weak].T, whole.test.inputs @ directions[~weak].T, atol=1e-12)


@pytest.mark.parametrize("function", ["linear", "quadratic"])
def test_the_sphere_has_its_radius_and_the_target_its_variance(function):
    data = source("sphere", num_train=40000, num_features=12, function=function, signal=2.0, noise_variance=0.0).load()
    np.testing.assert_allclose(np.sum(data.train.inputs**2, axis=1), 12)
    assert np.mean(data.train.targets) == pytest.approx(0, abs=5 * np.sqrt(2 / 40000))
    assert np.var(data.train.targets) == pytest.approx(2.0, rel=5 * np.sqrt(4 / 40000))


def test_the_network_of_a_teacher_is_that_of_the_weights_that_it_draws():
    """Layer by layer, a row for each input and the last of biases, as PyTorch begins: uniform in +-1 / sqrt(fan_in)."""
    data = source("teacher", num_features=3, hidden=7, depth=2, num_outputs=2)
    random, x = np.random.default_rng(5), np.random.default_rng(1).normal(size=(4, 3))
    first, second, third = (random.uniform(-(n**-0.5), n**-0.5, (n + 1, m)) for n, m in ((3, 7), (7, 7), (7, 2)))

    def layer(z, weights):
        return np.hstack([z, np.ones((len(z), 1))]) @ weights

    expected = layer(np.tanh(layer(np.tanh(layer(x, first)), second)), third)
    np.testing.assert_allclose(data.target(np.random.default_rng(5))(x), expected, rtol=1e-12)


def test_the_square_of_a_teacher_is_of_one_direction_of_fixed_length():
    """Fitted as x'Mx / 2: M = beta beta' with |beta|^2 = D."""
    data = source("teacher", teacher="square", num_features=4, num_train=50, num_outputs=3).load()
    x, y = data.train
    assert y.shape == (50, 1)
    products = np.einsum("ni,nj->nij", x, x).reshape(50, -1) / 2
    matrix = np.linalg.lstsq(products, y[:, 0])[0].reshape(4, 4)
    np.testing.assert_allclose(np.linalg.eigvalsh(matrix), [0, 0, 0, 4], atol=1e-10)


def test_with_inputs_of_the_scale_of_kumar_the_square_is_half_of_a_standard_normal_squared():
    data = source("teacher", teacher="square", num_features=100, input_scale=0.1, num_train=20000).load()
    assert np.var(data.train.inputs) == pytest.approx(0.01, rel=5 * np.sqrt(2 / 2e6))
    assert np.mean(data.train.targets) == pytest.approx(0.5, abs=5 * np.sqrt(0.5 / 20000))
    assert np.var(data.train.targets) == pytest.approx(0.5, rel=5 * np.sqrt(14 / 20000))  # kurtosis 15 of a squared normal


@pytest.mark.parametrize("function", ["cosine", "runge", "step"])
def test_the_interval_is_that_of_the_functions(function):
    data = source("interval", num_train=1000, function=function, noise_variance=0.0).load()
    x, y = data.train.inputs[:, 0], data.train.targets[:, 0]
    assert x.min() < -0.98
    assert x.max() > 0.98
    assert np.abs(x).max() <= 1
    expected = {"cosine": 2 * x + np.cos(25 * x), "runge": 1 / (1 + 25 * x * x), "step": np.sign(x)}[function]
    np.testing.assert_allclose(y, expected)


def test_fields_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match="num_test=null"):
        source("sphere", num_test=None).check()
    with pytest.raises(ConfigError, match="eigenvalues"):
        source("gaussian", eigenvalues=(-1.0,)).check()
    for coefficients, relevant in (((0.0,), None), ((0.0, 1.0), 1), ((float("nan"),), None)):
        with pytest.raises(ConfigError, match=r"data\.coefficients=.*must be finite numbers"):
            source("gaussian", coefficients=coefficients, num_relevant=relevant).check()
