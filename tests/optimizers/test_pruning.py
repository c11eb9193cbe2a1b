"""Gradual pruning: as many weights go as the formula says, the smallest, counted by NumPy; padding and masks change nothing."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import ddlab
from ddlab.cli import main
from ddlab.errors import ConfigError
from ddlab.parameters import named
from ddlab.run.settle import settle
from tests.support import leaves_of, make_pack, packed_equals_alone, write_sweep

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("fast_packs")]

SMALL = ("data=digits", "data.num_train=40", "train.batch_size=10", "train.steps=12", "model.width=5", "train.dtype=float64")
TRAINED = (*SMALL, "optimizer=sgd", "optimizer.learning_rate=0.1", "train.num_evals=5", "train.eval_spacing=linear")
FIELDS = {"sparsity": 0.7, "begin": 3, "end": 9, "every": 4}
PRUNED = ("optimizer.modifiers.prune=prune", *(f"optimizer.modifiers.prune.{name}={value}" for name, value in FIELDS.items()))
OTHER = "optimizer.modifiers.prune.sparsity=0.4"

BOTH = """\
defaults: [ddlab, override data: digits, override measures: none, _self_]
axes: {seed: 0}
measures: {n: {_target_: ddlab.measures.NumNonzero}}
optimizer: {modifiers: {prune: prune}}
start: {mask: cut}
"""


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


def stepper(*words):
    """Return the state at the start of a trial, and what makes the next step of one."""
    program, inputs = make_pack([leaves_of(*TRAINED, "measures=none", *words)])
    advance = jax.jit(program.advance)
    return jax.jit(program.init)(inputs), lambda state: advance(state, inputs, state.step + 1)


def cut(weight, share):
    """Return a matrix with the smallest of its entries, a share of them, at 0."""
    smallest = np.sort(np.abs(weight), axis=None)[: round(share * weight.size)]
    return np.where(np.isin(np.abs(weight), smallest), 0, weight)


def test_the_smallest_weights_go_by_the_schedule_and_stay_0():
    """Steps of a program without pruning; the weights that go are put to 0 by hand between them."""
    pruned, advance = stepper(*PRUNED)
    by_hand, advance_by_hand = stepper()
    masks = {name: np.ones(array.shape, bool) for name, array in named(by_hand.trial.params).items()}
    for step in range(1, 13):
        pruned, by_hand = advance(pruned), advance_by_hand(by_hand)
        params = {name: np.array(array) for name, array in named(by_hand.trial.params).items()}
        for name, array in params.items():
            array[~masks[name]] = 0
            if name.endswith("weight") and step in (7, 9):
                params[name] = cut(array, 0.7 * (1 - (1 - (step - 3) / 6) ** 3))
                masks[name] = params[name] != 0
        tree = jax.tree.unflatten(jax.tree.structure(by_hand.trial.params), params.values())
        by_hand = by_hand._replace(trial=by_hand.trial._replace(params=tree))
        for name, array in named(pruned.trial.params).items():
            np.testing.assert_allclose(array, params[name], rtol=1e-10, atol=1e-13)
    assert {name: np.count_nonzero(array) for name, array in named(pruned.trial.params).items()} == {
        "layers.0.weight": 320 - 224,
        "layers.0.bias": 5,
        "layers.1.weight": 50 - 35,
        "layers.1.bias": 10,
    }


def test_trials_of_other_widths_and_numbers_in_one_pack_are_what_they_are_alone():
    measured = ("measures=none", "+measures.nonzero._target_=ddlab.measures.NumNonzero")
    trials = [leaves_of(*TRAINED, *PRUNED, *measured, *more) for more in ((), ("model.width=3", OTHER))]
    _, metrics, *_ = packed_equals_alone(trials, 1e-9)
    weights = np.array([[64 * width, width * 10] for width in (5, 3)])
    left = weights.sum(1) - np.round(np.array([[0.7], [0.4]]) * weights).sum(1)
    np.testing.assert_array_equal(metrics["num_nonzero"][-1], left + np.array([15, 13]))


def test_what_is_averaged_inside_is_masked_too():
    words = [word.replace(".prune", ".a") for word in PRUNED]
    program, inputs = make_pack(
        [leaves_of(*TRAINED, *words, "optimizer.modifiers.ema=ema", "+measures.n._target_=ddlab.measures.NumNonzero")]
    )
    state = jax.jit(program.advance)(jax.jit(program.init)(inputs), inputs, np.int32(12))
    assert jax.jit(program.evaluate)(state, inputs)["num_nonzero"] == 96 + 15 + 15


def test_weights_that_do_not_live_are_not_counted_as_pruned(workplace):
    """Half of 384 and of 60 weights live, of which .7 go; and 16 biases."""
    write_sweep(workplace, "both", BOTH)
    words = ("train.num_evals=3", "model.width=6", "start.mask.drop=0.5", *PRUNED[1:2], *PRUNED[-1:])
    assert main(["sweep", "both", *SMALL[1:4], *words]) == 0
    assert ddlab.load("results/both").curves["num_nonzero"].iloc[-1] == (192 - round(0.7 * 192)) + (30 - round(0.7 * 30)) + 16


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("begin=10", "optimizer.modifiers: begin=10: must be at most end=9"),
        ("sparsity=1.1", "optimizer.modifiers.prune.sparsity=1.1: must be at least 0 and at most 1"),
    ],
)
def test_mistakes_are_one_line(word, expected):
    with pytest.raises(ConfigError, match=expected):
        settle(leaves_of(*TRAINED, *PRUNED, f"optimizer.modifiers.prune.{word}"))
