"""Seeds: what each draws, and that trials which differ in seeds alone share a pack."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from ddlab.config.trial import seeds
from ddlab.plan.packs import pack_trials
from ddlab.plan.shapes import Part
from ddlab.plan.trials import make_trials
from ddlab.run.settle import settle
from tests.support import PACKING, SMALL_MNIST, dataset_of, leaves_of, run_trials, trials_of

pytestmark = pytest.mark.usefixtures("fast_packs")

TINY = (*SMALL_MNIST, "model.width=4", "train.steps=6", "train.num_evals=2", "measures=none")


def arrays_of(state, trial):
    """Return the parameters of one trial, flat."""
    return np.concatenate([leaf[trial].ravel() for leaf in jax.tree.leaves(state.trial.params)])


def test_the_same_start_with_other_batches_and_the_other_way_round():
    trials = [leaves_of(*TINY, *own) for own in ((), ("batch_seed=5",), ("init_seed=5",))]
    _, _, first, last = run_trials(trials)
    start, other_batches, other_start = (arrays_of(first, trial) for trial in range(3))
    np.testing.assert_array_equal(other_batches, start)
    assert (other_start != start).all()
    assert (arrays_of(last, 1) != arrays_of(last, 0)).any()


def test_seeds_of_a_trial_follow_its_seed_unless_set():
    leaves = leaves_of("seed=3", "data.seed=4")
    assert (leaves["init_seed"], leaves["batch_seed"], leaves["data.noise_seed"]) == (3, 3, 4)
    assert leaves_of("seed=3", "init_seed=1")["init_seed"] == 1
    assert set(seeds(leaves)) == {"seed", "init_seed", "batch_seed", "data.seed", "data.noise_seed"}


def test_seeds_follow_along_an_axis_too():
    found = [(t["seed"], t["init_seed"], t["batch_seed"]) for t in trials_of("seed=0,4")]
    assert found == [(0, 0, 0), (4, 4, 4)]
    found = [(t["seed"], t["init_seed"], t["batch_seed"]) for t in trials_of("seed=0,4", "init_seed=2")]
    assert found == [(0, 2, 0), (4, 2, 4)]
    found = [(t["seed"], t["batch_seed"]) for t in trials_of("seed=3", "batch_seed=0,1")]
    assert found == [(3, 0), (3, 1)]
    found = [(t["data.seed"], t["data.noise_seed"], t["init_seed"]) for t in trials_of("data.seed=5,6")]
    assert found == [(5, 5, 0), (6, 6, 0)]


def test_what_stands_inside_a_list_follows_its_axis():
    words = ("data=gaussian", "model=linear", "data.num_test=null", "train.loss=mse", "data.eigenvalues=[1.0,${data.signal}]")
    found = [(t["data.signal"], t["data.eigenvalues"]) for t in trials_of(*words, "data.signal=1.0,2.0")]
    assert found == [(1.0, (1.0, 1.0)), (2.0, (1.0, 2.0))]


def test_other_wrong_labels_on_the_same_examples():
    base, other = (dataset_of(leaves_of(*TINY, f"data.noise_seed={seed}")) for seed in (0, 1))
    np.testing.assert_array_equal(other.train.inputs, base.train.inputs)
    assert (other.train.targets != base.train.targets).any()
    clean = dataset_of(leaves_of(*TINY, "data.label_noise=0", "data.noise_seed=1"))
    assert np.mean(clean.train.targets != base.train.targets) <= 0.2


def test_trials_that_differ_in_seeds_alone_share_a_pack():
    axes = dict.fromkeys(("seed", "init_seed", "batch_seed", "data.seed", "data.noise_seed"), (0, 1))
    part = Part({}, {}, leaves_of(*TINY), {}, axes)
    trials = make_trials([part], settle)
    (pack,) = pack_trials(trials, PACKING)
    assert len(pack.trials) == 2**5
    assert len({trial.weights_id for trial in pack.trials}) == 2**5
