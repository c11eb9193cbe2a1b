"""Where parameters are from, and trials that are not trained, only measured."""

from __future__ import annotations

import numpy as np
import pytest

import ddlab
from ddlab.cli import main
from ddlab.config.trial import train_settings
from ddlab.measures.points import due_steps, eval_steps
from ddlab.starts import Average, Between, Kept, NormOf
from tests.support import kept_of, leaves_of, write_sweep

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


@pytest.mark.parametrize(("order", "norm"), [(1, lambda array: abs(array).sum()), (2, lambda array: np.sqrt((array**2).sum()))])
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


SEVERAL = """\
defaults: [ddlab, override data: digits, _self_]
axes: {seed: 0}
data: {num_train: 60}
model: {width: 4}
optimizer: {schedule: cosine}
train: {steps: 30, batch_size: 20, num_evals: 4}
measures: {gradient_norm: null}
stages:
  one: {}
  two: {start: {draw: 1}}
  same: {train.steps: 0, start: {values: one}}
  path: {train.steps: 0, start: {values: {between: one, other: two, alpha: 0.25}}}
  swa: {train.steps: 0, start: {values: {average: one, steps: [10, 17, 30]}}}
  soup: {train.steps: 0, start: {values: {average: [one, two]}}}
  tuned: {train.steps: 5, start: {values: {average: [path, swa, soup]}}}
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    directory = tmp_path_factory.mktemp("values")
    write_sweep(directory, "values", SEVERAL)
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(directory)
        assert main(["sweep", "values", "pack.keep_weights=true"]) == 0
    return directory / "results/values"


def params(root, stage, step=None):
    return {name: array for name, array in kept_of(root, stage, step).items() if name.startswith("params.")}


def check_sum(found, parts):
    for name, array in found.items():
        expected = sum(share * part[name].astype(float) for share, part in parts)
        np.testing.assert_allclose(array, expected, rtol=1e-6, atol=1e-9)


def test_values_between_two_trials_are_on_the_line(root):
    check_sum(params(root, "path"), [(0.75, params(root, "one")), (0.25, params(root, "two"))])


def test_an_average_is_of_the_steps_of_a_trial_or_of_trials(root):
    check_sum(params(root, "swa"), [(1 / 3, params(root, "one", step)) for step in (10, 17, 30)])
    check_sum(params(root, "soup"), [(0.5, params(root, stage)) for stage in ("one", "two")])


def test_what_makes_an_average_has_no_order():
    rng = np.random.default_rng(0)
    kept = [Kept({"w": rng.normal(size=3)}, {}, {"mean": rng.normal(size=2)}, {}, {}) for _ in range(2)]
    halves = [Average(of=["a", "b"], steps=[])(kept, kept[0]), Between(of="a", other="b", alpha=0.5, step=None)(kept, kept[0])]
    for field in ("params", "moving"):
        for name, array in getattr(kept[0], field).items():
            expected = (array + getattr(kept[1], field)[name]) / 2
            for half in halves:
                np.testing.assert_allclose(getattr(half, field)[name], expected, rtol=1e-15)


def test_without_steps_a_trial_is_measured_where_it_starts(root):
    """As the trial was that it starts from; and others may start from such ones."""
    results = ddlab.load(root)
    stages = results.trials.set_index("trial_id")["stage"]
    rows = results.curves.assign(stage=results.curves["trial_id"].map(stages)).set_index(["stage", "step"])
    assert list(rows.loc["same"].index) == [0]
    for metric in ("train_loss", "test_loss", "test_error"):
        assert rows.loc[("same", 0), metric] == pytest.approx(rows.loc[("one", 30), metric], rel=1e-6)
    steps = results.trials.set_index("stage")["lineage_steps"]
    assert dict(steps) == {"one": 30, "two": 30, "same": 30, "path": 60, "swa": 30, "soup": 60, "tuned": 65}
    of = results.trials.set_index("stage")["start.values.of"]
    assert (of["same"], of["soup"]) == ("one", ("one", "two"))


APART = """\
defaults: [ddlab, override data: digits, _self_]
axes: {seed: 0}
data: {num_train: 60}
train: {steps: 20, batch_size: 20, num_evals: 2}
measures: {gradient_norm: null}
stages:
  one: {model.width: 4}
  other: {train: {steps: 10, batch_size: 10}, start: {draw: 1}, axes: {model.width: "4,9"}}
  ends: {train.steps: 0, axes: {start.values.alpha: "0.0,1.0"}, start: {values: {between: one, other: other}}}
"""


def test_trials_of_packs_of_their_own_are_taken_where_each_has_ended(workplace):
    """Of networks of one width, one of which is padded beside a wider one."""
    write_sweep(workplace, "apart", APART)
    assert main(["sweep", "apart"]) == 0
    results = ddlab.load("results/apart")
    last = results.curves.sort_values("step").groupby("trial_id")["train_loss"].last()
    trials = results.trials.assign(loss=results.trials["trial_id"].map(last)).query("`model.width` == 4")
    ends = trials[trials["stage"] == "ends"].set_index("start.values.alpha")
    for alpha, stage in ((0.0, "one"), (1.0, "other")):
        assert ends.loc[alpha, "loss"] == pytest.approx(trials.set_index("stage").loc[stage, "loss"], rel=1e-6)
    assert list(ends["lineage_steps"]) == [30, 30]


@pytest.mark.parametrize("spacing", ["log", "linear"])
def test_the_one_eval_point_of_no_steps_is_the_first(spacing):
    train = train_settings(leaves_of("train.steps=0", f"train.eval_spacing={spacing}"))
    assert list(eval_steps(train)) == list(due_steps(train, 3)) == [0]
    assert train.most_evals == 1
