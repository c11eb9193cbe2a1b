"""Modifiers: sharpness-aware steps, averaged weights, those of a user, and their order."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ddlab.contracts import Status, check, compose_subject
from ddlab.errors import ComponentError
from ddlab.optimizers import EMA, SAM, SGD, SWA, Constant
from ddlab.plan.cost import Load
from ddlab.run.settle import settle
from tests.optimizers.modifiers import Forgets, Sam, Scaled, Shifted
from tests.support import ONE_NUMBER, leaves_of, make_pack

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("fast_packs")]

START = np.array([1.0, -2.0, 0.5])
CURVATURE = np.array([1.0, 3.0, 10.0])


def sgd(**modifiers):
    return SGD(learning_rate=0.02, schedule=Constant(), momentum=0.5, weight_decay=0.1, modifiers=modifiers)


def grad_fn(weights, _step=None):
    return CURVATURE * weights


def trajectory(optimizer, num_steps=20):
    """Return the weights after each step down a quadratic, [num_steps, 3], and the state of the rule."""
    rule, weights, found = optimizer.make(optimizer.learning_rate), jnp.asarray(START), []
    state = rule.init(weights)
    for step in range(num_steps):
        updates, state = rule.update(grad_fn(weights), state, weights, grad_fn=grad_fn, step=jnp.int32(step))
        weights = optax.apply_updates(weights, updates)
        found.append(weights)
    return np.array(found), state


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        yield


@pytest.mark.parametrize("cls", [SAM, Sam])
def test_sam_is_its_formula_and_so_is_that_of_optax(cls):
    weights, velocity = START.copy(), np.zeros(3)
    for found in trajectory(sgd(sam=cls(0.3)))[0]:
        gradient = CURVATURE * weights
        gradient = CURVATURE * (weights + 0.3 * gradient / np.linalg.norm(gradient))
        velocity = 0.5 * velocity + gradient + 0.1 * weights
        weights = weights - 0.02 * velocity
        np.testing.assert_allclose(found, weights, rtol=1e-12)
    assert np.abs(found - trajectory(sgd())[0][-1]).max() > 0.01


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_averaged_weights_are_evaluated_and_not_trained(decay):
    optimizer = sgd(ema=EMA(decay))
    weights, state = trajectory(optimizer)
    np.testing.assert_array_equal(weights, trajectory(sgd())[0])
    average = START.copy()
    for each in weights:
        average = decay * average + (1 - decay) * each
    np.testing.assert_allclose(optimizer.eval_params(state, weights[-1]), average, rtol=1e-12)


def test_sam_stays_where_there_is_no_slope():
    rule = sgd(sam=SAM(0.3)).make(1.0)
    updates, _ = rule.update(jnp.zeros(3), rule.init(START), START, grad_fn=lambda _: jnp.zeros(3), step=jnp.int32(0))
    np.testing.assert_allclose(updates, -0.1 * START, rtol=1e-12)


@pytest.mark.parametrize(("begin", "every"), [(0, 1), (7, 3), (20, 5), (21, 1)])
def test_stochastic_weight_averaging_evaluates_the_mean_of_the_weights_that_are_taken(begin, every):
    """Of those after steps begin, begin + every, ...; before the first those that are trained."""
    optimizer = sgd(swa=SWA(begin, every))
    weights, state = trajectory(optimizer)
    np.testing.assert_array_equal(weights, trajectory(sgd())[0])
    taken = [weights[step - 1] for step in range(1, 21) if step >= begin and (step - begin) % every == 0]
    expected = np.mean(taken, axis=0) if taken else weights[-1]
    np.testing.assert_allclose(optimizer.eval_params(state, weights[-1]), expected, rtol=1e-12)


def test_without_modifiers_the_weights_that_are_trained_are_evaluated():
    weights, state = trajectory(sgd())
    assert sgd().eval_params(state, weights) is weights


def test_a_gradient_goes_through_the_modifiers_in_the_order_of_their_names():
    rule = sgd(a=Shifted(1.0), b=Scaled(2.0)).make(1.0)
    updates, _ = rule.update(jnp.zeros(3), rule.init(START), START)
    np.testing.assert_allclose(updates, -(2.0 * 1.0 + 0.1 * START), rtol=1e-12)


def test_of_two_modifiers_that_choose_what_is_evaluated_the_first_has_the_last_word():
    for first, second in ((0.0, 0.9), (0.9, 0.0)):
        optimizer = sgd(a=EMA(first), b=Sam(0.1), c=EMA(second))
        weights, state = trajectory(optimizer)
        _, alone = trajectory(sgd(a=EMA(first), b=Sam(0.1)))
        expected = sgd(a=EMA(first), b=Sam(0.1)).eval_params(alone, weights[-1])
        np.testing.assert_allclose(optimizer.eval_params(state, weights[-1]), expected, rtol=1e-12)


def test_a_modifier_that_forgets_the_rules_state_is_named():
    optimizer = sgd(forgets=Forgets())
    _, state = trajectory(optimizer, num_steps=1)
    with pytest.raises(ComponentError, match=r"modifiers\.Forgets\.wrap: TypeError: its state must hold that of the rule once"):
        optimizer.eval_params(state, START)


SMALL = ("data=digits", "data.num_train=40", "train.batch_size=10", "train.steps=5", "model.width=4", "train.dtype=float64")


def stepper(*words):
    """Return the state at the start of a small trial, and what makes one step from other parameters."""
    program, inputs = make_pack([leaves_of(*SMALL, "optimizer=sgd", *words)])
    advance, begun = jax.jit(program.advance), jax.jit(program.init)(inputs)

    def stepped(params):
        return advance(begun._replace(trial=begun.trial._replace(params=params)), inputs, np.int32(1)).trial.params

    return begun.trial.params, stepped


def test_a_program_gives_sam_the_gradient_of_its_batch():
    """The first step of sgd shows the gradient, at the start and a way up the slope from there, on the same batch."""
    start, plain = stepper("optimizer.learning_rate=1.0")
    gradient = optax.tree.sub(start, plain(start))
    shifted = optax.tree.add_scale(start, 0.3 / optax.tree.norm(gradient), gradient)
    expected = optax.tree.sub(start, optax.tree.sub(shifted, plain(shifted)))
    sam = ("optimizer.modifiers.sam=sam", "optimizer.modifiers.sam.radius=0.3")
    found = stepper("optimizer.learning_rate=1.0", *sam)[1](start)
    for each, wanted, without in zip(*map(jax.tree.leaves, (found, expected, plain(start))), strict=True):
        np.testing.assert_allclose(each, wanted, rtol=1e-9, atol=1e-12)
        assert not np.allclose(each, without, rtol=1e-4)


def test_metrics_are_those_of_the_averaged_weights():
    """The programs are those of a sweep; the average of the weights of a run without a modifier is taken by hand."""
    states, programs = {}, {}
    for name, more in {"plain": (), "averaged": ("optimizer.modifiers.ema=ema", "optimizer.modifiers.ema.decay=0.5")}.items():
        program, inputs = make_pack([leaves_of(*SMALL, *more)])
        advance, state = jax.jit(program.advance), jax.jit(program.init)(inputs)
        states[name] = [state := advance(state, inputs, np.int32(step)) for step in range(6)]
        programs[name] = lambda state, program=program, inputs=inputs: jax.jit(program.evaluate)(state, inputs)
    expected = states["plain"][0].trial.params
    for state in states["plain"][1:]:
        expected = jax.tree.map(lambda old, new: 0.5 * old + 0.5 * new, expected, state.trial.params)
    last = states["plain"][-1]
    by_hand = programs["plain"](last._replace(trial=last.trial._replace(params=expected)))
    found, trained = programs["averaged"](states["averaged"][-1]), programs["plain"](last)
    for name in ("train_loss", "test_loss", "weight_norm"):
        np.testing.assert_allclose(found[name], by_hand[name], rtol=1e-12)
        assert not np.allclose(found[name], trained[name], rtol=1e-6)


def test_without_modifiers_a_config_says_nothing_of_them():
    words = ("optimizer.modifiers.sam=sam", "optimizer.modifiers.sam.radius=0.2")
    assert leaves_of(*words)["optimizer.modifiers.sam.radius"] == 0.2
    for absent in (leaves_of(), *(leaves_of(f"optimizer.modifiers.sam={word}") for word in ("null", "none"))):
        assert not [key for key in absent if key.startswith("optimizer.modifiers")]


def test_a_modifier_of_a_user_keeps_every_rule():
    found = list(check(compose_subject(f"{Sam.__module__}.Sam", ONE_NUMBER)))
    assert {rule.__name__: verdict.reason for rule, verdict in found if verdict.status is not Status.KEPT} == {}


def test_the_planner_counts_the_gradients_that_a_modifier_asks_for():
    costs = [
        settle(leaves_of(*SMALL, *more)).cost for more in ((), ("optimizer.modifiers.m=sam",), ("optimizer.modifiers.m=ema",))
    ]
    plain, twice, once = (cost.step_flops(Load(1, (1, 1), cost.size.examples), None) for cost in costs)
    assert (twice, once) == (2 * plain, plain)
