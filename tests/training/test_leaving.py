"""Trials that have ended leave a pack, and the others do not notice, bit for bit in programs as they ship."""

from __future__ import annotations

import jax
import numpy as np
import pandas as pd
import pytest

import ddlab
import ddlab.training.prepare
import ddlab.training.run
from ddlab.cli import main
from ddlab.training.compiled import Compiled, compile_pack
from tests.support import NO_GRADIENT, SMALL_MNIST, curves, leaves_of, make_pack


@pytest.mark.slow
@pytest.mark.numeric
def test_leaving_out_trials_changes_nothing_for_the_others_bit_for_bit():
    trials = [leaves_of(*SMALL_MNIST, "model.width=8", NO_GRADIENT, f"seed={seed}") for seed in range(9)]
    program, inputs = make_pack(trials)
    compiled = compile_pack(program, inputs, len(trials), 2)
    alive = np.array([False, True, False, False, True, True, False, False, True])

    def train(with_ended):
        placed = compiled.place()
        state = placed.advance(placed.begin(), 10)
        if not with_ended:
            host, placed = placed.to_host(state), compiled.place(alive)
            assert placed.layout.busy.sum() < compiled.layout.busy.sum()
            state = placed.to_devices(host)
        state = placed.advance(state, 40)
        return placed.to_host(state), placed.layout.take(placed.evaluate(state))

    (with_state, with_metrics), (without_state, without_metrics) = train(True), train(False)
    for one, other in zip(jax.tree.leaves(with_state.trial.params), jax.tree.leaves(without_state.trial.params), strict=True):
        np.testing.assert_array_equal(one[alive], other[alive])
    for name in with_metrics:
        np.testing.assert_array_equal(with_metrics[name][alive], without_metrics[name][alive], err_msg=name)


def test_trials_that_have_stopped_leave_and_the_others_do_not_notice(tiny, monkeypatch):
    stops = [
        f"train.{setting}"
        for setting in ("stop_metric=train_loss", "stop_below=2.2", "stop_patience=1", "steps=120", "num_evals=40")
    ]
    axes = ["optimizer.learning_rate=0.0001,0.003,0.01,0.03", "model.width=100", "seed=range(3)"]
    left = []
    place = Compiled.place

    def placed(compiled, alive=None):
        if alive is not None:
            left.append(alive.sum())
        return place(compiled, alive)

    monkeypatch.setattr(Compiled, "place", placed)
    monkeypatch.setattr(ddlab.training.prepare, "working_bytes", lambda: 2**12)  # tiles of one trial
    main(["sweep", tiny, *stops, *axes, "out=leaving"])
    assert left
    assert left == sorted(left, reverse=True)
    monkeypatch.setattr(ddlab.training.run, "WORTH_MOVING", 0.0)
    left.clear()
    main(["sweep", tiny, *stops, *axes, "out=staying"])
    assert not left
    pd.testing.assert_frame_equal(curves("leaving"), curves("staying"), check_exact=True)
    assert set(ddlab.load("leaving").trials["status"]) == {"stopped", "completed"}
