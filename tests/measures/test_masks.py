"""Mask distance: that of masks cut by NumPy, in any pack, over any stop; and it ends a trial."""

from __future__ import annotations

import jax
import numpy as np
import pandas as pd
import pytest

import ddlab
from ddlab.cli import main
from ddlab.config.trial import train_settings
from ddlab.errors import ConfigError
from ddlab.measures.points import eval_steps
from ddlab.parameters import named
from ddlab.run.settle import settle
from tests.support import curves, interrupt_after, leaves_of, make_pack, packed_equals_alone, write_sweep

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("fast_packs")]

SMALL = ("data=digits", "data.num_train=40", "train.batch_size=10", "train.steps=30", "model.width=5")
TIMES = ("train.num_evals=7", "train.eval_spacing=linear")
DISTANCE = ("measures=none", "+measures.d._target_=ddlab.measures.MaskDistance", "+measures.d.drop=0.6")


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield "train.dtype=float64"


def mask(weight, drop):
    """Return which entries are not among the smallest, a share of them."""
    return np.abs(weight) > np.sort(np.abs(weight), axis=None)[round(drop * weight.size) - 1]


def test_it_is_the_share_of_the_weights_that_two_masks_differ_in(float64):
    """Whatever other steps training halts at on the way."""
    leaves = leaves_of(*SMALL, *TIMES, *DISTANCE, float64)
    program, inputs = make_pack([leaves])
    advance, evaluate = jax.jit(program.advance), jax.jit(program.evaluate)
    state, before = jax.jit(program.init)(inputs), None
    for step in eval_steps(train_settings(leaves)):
        for halt in (max(0, int(step) - 2), int(step), int(step)):
            state = advance(state, inputs, halt) if halt >= state.step else state
        now = {name: np.array(array[0]) for name, array in named(state.trial.params).items() if name.endswith("weight")}
        found = evaluate(state, inputs)["mask_distance"][0]
        if before is None:
            assert np.isnan(found)
        else:
            differing = sum((mask(now[name], 0.6) != mask(before[name], 0.6)).sum() for name in now)
            assert differing > 0
            np.testing.assert_allclose(found, differing / sum(array.size for array in now.values()), rtol=1e-12)
        before = now


def test_in_a_pack_it_is_the_same_as_alone(float64):
    more = (("model.width=5",), ("model.width=3", "++measures.d.drop=0.3"), ("model.width=8", "optimizer.modifiers.ema=ema"))
    for trials in (more[:2], more[2:]):
        packed_equals_alone([leaves_of(*SMALL, *TIMES, *DISTANCE, float64, *each) for each in trials], 1e-9)


STOP = ("train.stop_metric=mask_distance", "train.stop_below=0.1", "train.stop_patience=2", "pack.checkpoint_seconds=0")


def test_it_ends_trials_also_of_a_sweep_that_was_interrupted(workplace, monkeypatch):
    write_sweep(workplace, "bird", "defaults: [ddlab, override data: digits, _self_]\naxes: {seed: range(3)}\n")
    words = ["bird", *SMALL[1:], "train.num_evals=31", "train.eval_spacing=linear", *DISTANCE, *STOP]
    assert main(["sweep", *words, "out=results/whole"]) == 0
    with monkeypatch.context() as patched:
        interrupt_after(patched, 4)
        assert main(["sweep", *words]) == 130
    assert main(["sweep", *words]) == 0
    whole = curves("results/whole")
    pd.testing.assert_frame_equal(curves("results/bird"), whole)
    trials = ddlab.load("results/whole").trials
    assert set(trials["status"]) == {"stopped"}
    ends = whole.groupby("trial_id")["mask_distance"].agg(lambda distances: (distances.tail(2) <= 0.1).all())
    assert ends.all()


def test_the_planner_counts_the_parameters_that_are_kept():
    assert [settle(leaves_of(*SMALL, *words)).cost.num_kept for words in (("measures=none",), DISTANCE)] == [0, 1]


def test_it_is_of_networks_that_are_trained_from_their_first_step():
    exact = ("data=gaussian", "model=linear", "optimizer=ridge", "train=exact")
    with pytest.raises(ConfigError, match=r"measures.d: is a measure of networks that are trained"):
        settle(leaves_of(*exact, *DISTANCE))
    with pytest.raises(ConfigError, match=r"start.go_on=true: must be false with measures.d"):
        settle(leaves_of(*SMALL, *DISTANCE, "start.values=trial", "start.values.of=a", "start.values.step=3", "start.go_on=true"))
