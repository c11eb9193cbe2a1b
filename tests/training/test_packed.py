"""Packed against alone, tiles and devices."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from tests.support import FLOAT64, NO_GRADIENT, ROUNDING, SMALL_MNIST, leaves_of, packed_equals_alone, run_trials

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("fast_packs")]

# The contracts hold every model and optimizer against being packed, for fewer steps; start and dead units to the bit.
ADAMW = ("optimizer=adamw", "optimizer.learning_rate=0.003", "optimizer.weight_decay=0.1")
WIDTHS = (3, 8)
# The same in float32 for smooth networks and few steps: 20 * 60 * 2^-24 = 7e-5, and measures that cannot jump.
ROUNDING_FLOAT32 = 1e-4
JUMPS = ("train_error", "test_error")


def test_packed_metrics_equal_those_of_trials_alone(float64):
    shared = (*SMALL_MNIST, *ADAMW, "model.depth=2", "train.steps=200", "train.num_evals=12", FLOAT64)
    trials = [leaves_of(*shared, f"model.width={width}", f"seed={seed}") for width in WIDTHS for seed in (0, 5)]
    metrics = packed_equals_alone(trials, ROUNDING)[1]
    assert {metric.dtype for metric in metrics.values()} == {np.dtype(np.float64)}


def test_packed_metrics_equal_those_of_trials_alone_in_float32():
    smooth = ("model.depth=2", "model.activation=tanh", "train.steps=20", "train.num_evals=4", NO_GRADIENT)
    trials = [leaves_of(*SMALL_MNIST, *ADAMW, *smooth, f"model.width={width}") for width in WIDTHS]
    packed, alone = run_trials(trials)[1], run_trials(trials[:1])[1]
    for name in alone.keys() - set(JUMPS):
        assert packed[name].dtype == np.float32
        np.testing.assert_allclose(packed[name][:, 0], alone[name][:, 0], rtol=ROUNDING_FLOAT32, err_msg=name)


def test_hyper_parameters_of_one_pack_differ_between_its_trials(float64):
    shared = (*SMALL_MNIST, "optimizer=sgd", "model.width=8", "train.steps=20", "train.num_evals=3", NO_GRADIENT, FLOAT64)
    varied = ("optimizer.learning_rate=0.5", "optimizer.momentum=0", "model.init_scale=2", "data.label_noise=0.8", "seed=1")
    trials = [leaves_of(*shared), *(leaves_of(*shared, one) for one in varied)]
    metrics = packed_equals_alone(trials, ROUNDING)[1]
    assert len(np.unique(metrics["train_loss"][-1])) == len(trials)


def test_tiles_and_devices_do_not_change_the_results(monkeypatch, float64):
    shared = (*SMALL_MNIST, "train.steps=60", "train.num_evals=4", NO_GRADIENT, FLOAT64)
    trials = [leaves_of(*shared, f"model.width={width}", f"seed={seed}") for width in (4, 9) for seed in range(5)]
    tiled, first = run_trials(trials, 3)[1], jax.local_devices()[:1]
    monkeypatch.setattr(jax, "local_devices", lambda: first)
    whole = run_trials(trials)[1]
    for name in whole:
        np.testing.assert_allclose(tiled[name], whole[name], rtol=ROUNDING, err_msg=name)
