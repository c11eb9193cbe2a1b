"""Where parameters are from."""

from __future__ import annotations

import numpy as np
import pytest

import ddlab
from ddlab.cli import main
from ddlab.starts import Kept, NormOf
from tests.support import write_sweep

pytestmark = pytest.mark.usefixtures("fast_packs")

SWEEP = """\
defaults: [ddlab, override data: digits, _self_]
axes: {seed: "0,1", model.width: "4,7"}
data: {num_train: 40}
train: {steps: 5, batch_size: 20, num_evals: 2}
stages:
  dense: {}
  ticket: {start: {mask: {cut: magnitude, of: dense, drop: 0.9}}}
  equal: {start: {draw: 1, values: {norm: ticket, step: 0}}}
"""


@pytest.mark.parametrize(
    ("order", "norm"), [(1, lambda array: abs(array).sum()), (2, lambda array: np.sqrt((array**2).sum()))]
)
def test_each_parameter_has_the_norm_of_the_other(order, norm):
    rng = np.random.default_rng(0)
    drawn = {"weight": rng.normal(size=(3, 4)), "bias": np.zeros(4), "scale": np.array(2.0)}
    other = {"weight": rng.normal(size=(5, 4)) * (rng.random((5, 4)) < 0.3), "bias": np.ones(4), "scale": np.array(-0.5)}
    found = NormOf(of="x", step=0, order=order)([Kept(other, {}, {}, {}, {})], Kept(drawn, {}, {}, {}, {})).params
    assert norm(found["weight"]) == pytest.approx(norm(other["weight"]), rel=1e-12)
    np.testing.assert_allclose(found["weight"] / drawn["weight"], found["weight"][0, 0] / drawn["weight"][0, 0], rtol=1e-12)
    np.testing.assert_array_equal(found["bias"], 0)
    assert found["scale"] == 0.5


def test_a_dense_network_of_the_norm_of_a_sparse_one(workplace):
    write_sweep(workplace, "tiny", SWEEP)
    assert main(["sweep", "tiny"]) == 0
    results = ddlab.load("results/tiny")
    at_start = results.curves.query("step == 0").set_index("trial_id")["weight_norm"]
    trials = results.trials.assign(norm=results.trials["trial_id"].map(at_start))
    norms = trials.pivot_table(index=["seed", "model.width"], columns="stage", values="norm")
    np.testing.assert_allclose(norms["equal"], norms["ticket"], rtol=1e-5)
    assert (norms["ticket"] < 0.9 * norms["dense"]).all()
    live = trials.pivot_table(index=["seed", "model.width"], columns="stage", values="num_live")
    assert (live["equal"] == live["dense"]).all()
