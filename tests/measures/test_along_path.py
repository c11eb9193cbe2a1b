"""Measures along the path: what the final model decides that is measured of earlier ones."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import ddlab
from ddlab.cli import main
from ddlab.config.trial import train_settings
from ddlab.errors import ConfigError
from ddlab.measures.points import due_steps, eval_steps
from ddlab.parameters import named
from ddlab.run.settle import settle
from tests.measures.paths import ToFinal
from tests.networks import wide
from tests.support import SMALL_MNIST, leaves_of, make_pack, packed_equals_alone, run_trials, write_sweep

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("fast_packs")]

TARGET = f"{ToFinal.__module__}.{ToFinal.__name__}"


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


PATH = (*SMALL_MNIST, "train.steps=30", "train.num_evals=8", "train.dtype=float64", f"+measures.p._target_={TARGET}")


def test_it_is_measured_of_the_parameters_at_each_eval_point_by_the_final_ones():
    """Batch statistics are those of then, too."""
    trials = [leaves_of(*PATH, *wide(normalized="true"), f"seed={seed}", "+measures.p.every=2") for seed in (0, 1)]
    train = train_settings(trials[0])
    steps, due = eval_steps(train), due_steps(train, 2)
    metrics = run_trials(trials)[1]
    program, inputs = make_pack(trials)
    advance = jax.jit(program.advance)
    state, kept = jax.jit(program.init)(inputs), {}
    for step in steps:
        state = advance(state, inputs, int(step))
        kept[int(step)] = jax.device_get((state.trial.params, state.trial.moving))
    final = kept[int(steps[-1])][0]
    for trial in (0, 1):
        for name in ("distance", "output"):
            assert np.isnan(metrics[name][:-1]).all()
            assert np.isnan(metrics[name][-1, trial][~np.isin(steps, due)]).all()
        for step in due:
            now, last = ({name: array[trial] for name, array in named(params).items()} for params in (kept[int(step)][0], final))
            distance = np.sqrt(sum(np.square(now[name] - last[name]).sum() for name in now))
            found = metrics["distance"][-1, trial][np.searchsorted(steps, step)]
            np.testing.assert_allclose(found, distance, rtol=1e-10, atol=1e-12)


def test_in_a_pack_it_is_the_same_as_alone():
    trials = [leaves_of(*PATH, *wide(normalized="true", width=width)) for width in (4, 7)]
    _, metrics, *_ = packed_equals_alone(trials, 1e-9)
    assert np.isfinite(metrics["output"][-1]).all()


def test_the_planner_counts_what_is_kept():
    few, many = (settle(leaves_of(*PATH, f"+measures.p.every={every}")).cost for every in (7, 1))
    assert (few.num_kept, many.num_kept) == (2, 8)
    assert few.row_bytes == many.row_bytes == settle(leaves_of(*PATH[:-1])).cost.row_bytes + 8 * 2 * 8


def test_results_show_it_along_the_steps(workplace):
    write_sweep(workplace, "path", "defaults: [ddlab, _self_]\naxes: {seed: range(2)}\n")
    assert main(["sweep", "path", *PATH, "+measures.p.every=3"]) == 0
    curves = ddlab.load("results/path").curves
    for _, curve in curves.groupby("trial_id"):
        measured = curve.sort_values("step")["distance"]
        assert measured.notna().to_numpy().nonzero()[0].tolist() == [0, 3, 6, 7]
        assert (measured.dropna().diff().dropna() < 0).all()
        assert measured.iloc[-1] == 0


def test_trials_that_end_early_have_none():
    stops = ("train.stop_metric=test_error", "train.stop_below=0.1")
    with pytest.raises(ConfigError, match=r"train.stop_metric=test_error: must be null with measures.p"):
        settle(leaves_of(*PATH, *stops))


def test_the_exact_solver_has_no_path():
    exact = ("data=gaussian", "model=linear", "optimizer=ridge", "train=exact", "measures=none")
    with pytest.raises(ConfigError, match=r"measures.p: is a measure of networks that are trained"):
        settle(leaves_of(*exact, PATH[-1]))
