"""Groups of parameters with a learning rate and a weight decay of their own; against PyTorch's in `tests/science`."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ddlab.cli import main
from ddlab.errors import ConfigError
from ddlab.optimizers import SGD, Adam, Constant, Group
from tests.support import FLOAT64, ROUNDING, leaves_of, refusal, run_trials

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("fast_packs")]

PARAMS = {"first": {"weight": jnp.array([1.0, 2.0]), "bias": jnp.array([3.0])}, "second": {"bias": jnp.array([4.0])}}
GRADIENT = {"first": {"weight": jnp.array([0.5, 0.5]), "bias": jnp.array([0.5])}, "second": {"bias": jnp.array([0.5])}}


@pytest.fixture(autouse=True)
def optax_promotes():
    with jax.numpy_dtype_promotion("standard"):
        yield


def stepped(optimizer):
    rule = optimizer.make(optimizer.learning_rate)
    return optax.apply_updates(PARAMS, rule.update(GRADIENT, rule.init(PARAMS), PARAMS)[0])


def sgd(groups, **fields):
    return SGD(learning_rate=0.1, weight_decay=0.2, schedule=Constant(), groups=groups, **fields)


@pytest.mark.parametrize("decoupled", [False, True])
def test_a_parameter_has_the_factors_of_all_its_groups(decoupled):
    groups = {
        "biases": Group("*.bias", learning_rate_factor=3.0, weight_decay_factor=0.0),
        "all_of_first": Group("first.*", learning_rate_factor=0.5),
        "second": Group("second.bias", weight_decay_factor=7.0),
    }
    found = stepped(sgd(groups, decoupled=decoupled))
    np.testing.assert_allclose(found["first"]["weight"], [1 - 0.05 * (0.5 + 0.2), 2 - 0.05 * (0.5 + 0.4)], rtol=1e-6)
    np.testing.assert_allclose(found["first"]["bias"], [3 - 0.15 * 0.5], rtol=1e-6)
    np.testing.assert_allclose(found["second"]["bias"], [4 - 0.3 * 0.5], rtol=1e-6)


def test_parameters_in_no_group_have_the_rate_and_decay_of_the_optimizer():
    grouped, plain = stepped(sgd({"weights": Group("*.weight", weight_decay_factor=5.0)})), stepped(sgd({}))
    np.testing.assert_array_equal(grouped["second"]["bias"], plain["second"]["bias"])
    np.testing.assert_array_equal(grouped["first"]["bias"], plain["first"]["bias"])
    assert (grouped["first"]["weight"] != plain["first"]["weight"]).all()


@pytest.mark.parametrize("decoupled", [False, True])
def test_a_rate_of_zero_leaves_parameters_as_they_are(decoupled):
    adam = Adam(learning_rate=0.1, weight_decay=0.2, decoupled=decoupled, schedule=Constant(), b1=0.9, b2=0.999, eps=1e-8,
                groups={"first": Group("first.*", learning_rate_factor=0.0)})  # fmt: skip
    found = stepped(adam)
    np.testing.assert_array_equal(found["first"]["weight"], PARAMS["first"]["weight"])
    assert found["second"]["bias"] != PARAMS["second"]["bias"]


@pytest.mark.parametrize("factors", [{}, {"learning_rate_factor": 1.0, "weight_decay_factor": 1.0}])
def test_factors_that_are_off_do_nothing(factors):
    grouped, plain = stepped(sgd({"first": Group("first.*", **factors)})), stepped(sgd({}))
    np.testing.assert_array_equal(grouped["first"]["weight"], plain["first"]["weight"])


def test_a_pattern_that_matches_nothing_is_refused():
    with pytest.raises(
        ConfigError, match=r"optimizer\.groups\.biases\.pattern=\*\.biases: matches no parameter\. .*second\.bias"
    ):
        sgd({"biases": Group("*.biases")}).make(0.1).init(PARAMS)


@pytest.fixture
def swept(tmp_path, monkeypatch):
    """A sweep over depth, beside the tests' directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deep.yaml").write_text(
        "defaults: [ddlab, override data: digits, _self_]\n"
        "axes: {model.depth: '1,2', model.width: '3,4'}\n"
        "data: {num_train: 40}\n"
        "train: {steps: 5, batch_size: 10, num_evals: 2}\n"
    )
    return "deep.yaml"


def test_a_pattern_of_a_sweep_is_refused_before_training_where_one_network_has_no_such_parameter(swept, capfd):
    line = refusal(capfd, [swept, "+optimizer.groups.last.pattern=layers.2.*"])
    assert "optimizer.groups.last.pattern=layers.2.*: matches no parameter" in line
    assert "layers.1.weight" in line


def test_factors_are_swept_in_one_program(swept, capsys):
    words = ("+optimizer.groups.biases.pattern=*.bias", "+optimizer.groups.biases.weight_decay_factor=0,0.5,2", "model.depth=1")
    assert main(["plan", swept, *words]) == 0
    assert "6 trials in 1 pack " in capsys.readouterr().out


def test_each_trial_of_a_pack_has_its_own_factors():
    words = ("data=digits", "data.num_train=40", "train.steps=10", "train.batch_size=10", "train.num_evals=2", FLOAT64)
    group = "optimizer.groups.biases"
    trials = [
        leaves_of(*words, f"model.width={width}", f"+{group}.pattern=*.bias", f"+{group}.learning_rate_factor={factor}")
        for width, factor in ((3, 0.0), (6, 4.0))
    ]
    with jax.enable_x64(True), jax.numpy_dtype_promotion("strict"):
        packed, *alone = (run_trials(each)[1]["train_loss"] for each in (trials, trials[:1], trials[1:]))
    np.testing.assert_allclose(packed, np.concatenate(alone, axis=1), rtol=ROUNDING)
    assert (packed[0] != packed[-1]).all()
