"""A teacher is a column of the data: what it says of each example reaches the loss of that example, and of no other."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy.special import rel_entr, softmax

import ddlab
from ddlab.cli import main
from ddlab.starts import Teacher
from ddlab.store.store import Store
from tests.support import curves, write_sweep

pytestmark = pytest.mark.usefixtures("fast_packs")

# Students of two numbers of examples and two widths in one pack; what each learns is what it is already.
SWEEP = """\
defaults: [ddlab, override data: digits, override optimizer: sgd, _self_]
axes: {seed: "0,1", model.width: "4,7", data.num_train: "40,60"}
data: {label_noise: 0.2}
train: {steps: 30, batch_size: 20, num_evals: 4, dtype: float64}
measures: {gradient_norm: null}
stages:
  dense: {}
  same: {start: {values: dense}, train: {teacher: dense}}
  other: {start: {values: dense}, train: {teacher: {trial: dense, step: 5}}}
  half: {start: {values: dense}, train: {teacher: {trial: dense, weight: 0.5}}}
"""


def test_the_loss_is_that_of_hinton():
    rng = np.random.default_rng(0)
    outputs, taught, losses = rng.normal(size=(6, 4)), rng.normal(size=(6, 4)), rng.random(6)
    teacher = Teacher(of="x", step=None, temperature=3.0, weight=0.8)
    divergence = rel_entr(softmax(taught / 3, axis=-1), softmax(outputs / 3, axis=-1)).sum(axis=-1)
    found = jax.jit(teacher)(*map(jnp.asarray, (losses, outputs, taught)))
    np.testing.assert_allclose(found, 0.2 * losses + 0.8 * 9 * divergence, rtol=1e-5)


def test_a_network_that_learns_its_own_outputs_stays_what_it_is(workplace):
    """Of its examples in batches of any order; taught by itself as it was before, or by labels, too, it does not."""
    write_sweep(workplace, "tiny", SWEEP)
    assert main(["sweep", "tiny"]) == 0
    results = ddlab.load("results/tiny")
    trials = results.trials.set_index("trial_id")
    assert trials["num_rows"].min() == 4
    ends = results.curves.groupby("trial_id")["weight_norm"].agg(["first", "last"])
    moved = (ends["last"] - ends["first"]).abs().groupby(trials["stage"]).agg(["min", "max"])
    assert moved.loc["same", "max"] < 1e-12
    assert moved.loc[["other", "half"], "min"].min() > 1e-5
    # What a student learns is not stored: it is made of the weights of its teacher, and these, where they are lost, again.
    before, store = curves(), Store("results/tiny")
    assert not list(Path("results/tiny/kept").glob("*"))
    for pack in set(store.read_plan().query("level == 1")["pack"]):
        store.clear_pack(pack)
    assert main(["sweep", "tiny"]) == 0
    pd.testing.assert_frame_equal(curves(), before, check_exact=True)
