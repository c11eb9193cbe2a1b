"""Packs of the exact solver on the real command: what is stored, going on after an interruption, mistakes."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ddlab
import ddlab.solving.cost
import ddlab.solving.prepare
import ddlab.solving.run
from ddlab.cli import main
from ddlab.config.trial import build
from ddlab.data.loader import Loader
from ddlab.solving.deal import deal
from ddlab.store.store import Store
from tests.support import leaves_of

pytestmark = pytest.mark.numeric

SWEEP = """\
defaults: [ddlab, override data: gaussian, override model: linear, override optimizer: ridge, override train: exact,
  override measures: exact, _self_]
axes: {model.width: "2,8,20,40", optimizer.weight_decay: "0.0,0.1", seed: range(6)}
data: {num_train: 8, num_features: 40}
"""


@pytest.fixture
def sweep(workplace):
    (workplace / "sweeps").mkdir()
    (workplace / "sweeps" / "s.yaml").write_text(SWEEP)
    return "s"


def metrics(directory):
    results = ddlab.load(directory)
    return results.curves.sort_values(["trial_id", "step"], ignore_index=True)


def interrupt(monkeypatch, after):
    """Solve one problem at a time on each device, and stop once so many calls are recorded; return the problems of each call."""
    record, calls = ddlab.solving.run.SolvingRun._record, []

    def recorded(self, chunk):
        record(self, chunk)
        calls.append(len(chunk.problems))
        if len(calls) == after:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(ddlab.solving.cost, "PROBLEMS_OF_WORK", 1e-6)
    monkeypatch.setattr(ddlab.solving.run.SolvingRun, "_record", recorded)
    return calls


def test_every_trial_is_stored_with_its_own_data(sweep):
    assert main(["sweep", sweep]) == 0
    results = ddlab.load("results/s")
    trials, curves = results.trials, results.curves
    assert set(trials["status"]) == {"completed"}
    assert len(trials) == 48
    assert len(curves) == 96
    assert trials["data.seed"].tolist() == trials["seed"].tolist() == trials["data.target_seed"].tolist()
    assert trials.groupby("seed")["data_checksum"].nunique().tolist() == [1] * 6
    assert trials["data_checksum"].nunique() == 6
    assert (trials["params_per_sample"] == trials["model.width"] / 8).all()
    final = trials.merge(curves[curves["step"] == 1], on="trial_id")
    ridgeless = final[final["optimizer.weight_decay"] == 0]
    assert (ridgeless.loc[ridgeless["model.width"] >= 8, "train_loss"] < 1e-20).all()
    assert (ridgeless["degrees_of_freedom"].round(6) == np.minimum(ridgeless["model.width"], 8)).all()
    np.testing.assert_allclose(final["test_loss"], final["excess_risk"] + 0.25)
    assert not {"train_error", "test_error"} & set(curves)
    assert main(["status", "s"]) == 0


def test_an_interrupted_pack_goes_on_behind_what_is_stored(sweep, monkeypatch):
    seeds = "seed=range(10)"
    assert main(["sweep", sweep, seeds, "out=whole"]) == 0
    calls = interrupt(monkeypatch, after=2)
    assert main(["sweep", sweep, seeds]) == 130
    stored = len(metrics("results/s"))
    assert 0 < stored < 160
    assert main(["sweep", sweep, seeds]) == 0
    assert sum(calls) == 10  # of the problems, one of each seed, none was solved twice
    for name, column in metrics("whole").items():
        np.testing.assert_array_equal(metrics("results/s")[name], column, err_msg=str(name))
    assert set(ddlab.load("results/s").trials["status"]) == {"completed"}


def test_a_pack_goes_on_where_other_devices_deal_its_widths_otherwise(sweep, monkeypatch):
    seeds = "seed=range(5)"
    assert main(["sweep", sweep, seeds, "out=whole"]) == 0
    with monkeypatch.context() as patched:
        interrupt(patched, after=1)
        patched.setattr(ddlab.solving.prepare, "deal", lambda trials, _, most: deal(trials, 16, most))  # each width is a problem
        assert main(["sweep", sweep, seeds]) == 130
    before = metrics("results/s")
    assert 0 < len(before) < 80
    assert main(["sweep", sweep, seeds]) == 0
    stored = pd.concat(pd.read_parquet(part) for part in Path("results/s/curves").rglob("*.parquet"))
    assert len(stored) == 80
    after = metrics("results/s")
    kept = after[after["trial_id"].isin(set(before["trial_id"]))].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, before)
    for name, column in metrics("whole").items():
        if column.dtype.kind == "f":
            np.testing.assert_allclose(after[name], column, rtol=1e-9, atol=1e-13, err_msg=str(name))


def test_data_sets_of_equal_inputs_share_their_arrays():
    base = leaves_of("data=gaussian", "model=linear", "optimizer=ridge", "train=exact", "measures=exact")
    trials = [
        {**base, "data.noise_variance": noise, "init_seed": seed, "data.seed": seed} for noise in (0.1, 0.2) for seed in (0, 1)
    ]
    trials += [{**base, "data.num_train": 7}]
    loader = Loader()
    one, _, two, _, other = loader.load(trials)
    assert one.train_inputs is two.train_inputs
    assert one.test_inputs is two.test_inputs
    assert not np.array_equal(one.train_targets, two.train_targets)
    assert other.train_inputs is not one.train_inputs
    assert loader.load(trials)[2] is two
    alone = build(trials[2], "data").load()
    assert two.checksum == alone.checksum


@pytest.mark.filterwarnings("ignore::ddlab.files.DamagedPart")
def test_a_damaged_part_is_solved_again(sweep):
    assert main(["sweep", sweep]) == 0
    before = metrics("results/s")
    part = Store("results/s").part_file(0, 0)
    part.write_bytes(part.read_bytes()[:100])
    assert main(["sweep", sweep]) == 0
    assert metrics("results/s").equals(before)


def test_more_values_solve_the_new_trials_only(sweep):
    assert main(["sweep", sweep]) == 0
    before = {path: path.stat().st_mtime_ns for path in Path("results/s/curves").rglob("*.parquet")}
    assert main(["sweep", sweep, "seed=range(8)", "model.width=2,8"]) == 0
    assert len(ddlab.load("results/s").trials) == 48 + 8
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_trajectory_that_diverges_is_a_result_and_the_others_go_on(sweep):
    words = ["optimizer=gradient_descent", "optimizer.weight_decay=0.0", "train.steps=400", "train.num_evals=20"]
    assert main(["sweep", sweep, *words, "optimizer.learning_rate=0.01,10.0", "model.width=40", "seed=0"]) == 0
    results = ddlab.load("results/s")
    status = results.trials.set_index("optimizer.learning_rate")["status"]
    assert status.to_dict() == {0.01: "completed", 10.0: "diverged"}
    lengths = results.trials.merge(results.curves, on="trial_id").groupby("optimizer.learning_rate").size()
    assert lengths[10.0] < lengths[0.01] <= 20


MISTAKES = {
    "model": (["model=mlp", "data.num_test=9"], "linear in its parameters"),
    "loss": (["train.loss=cross_entropy"], "train.loss=cross_entropy: must be mse"),
    "dtype": (["train.dtype=float32"], "train.dtype=float32: must be float64"),
    "batch": (["train.batch_size=4"], "train.batch_size=4: must be null"),
    "width": (["model.width=41"], "model.width=41: must be at most 40"),
    "nodes": (["model=random_features"], "data.num_test=null"),
    "measure": (["optimizer=sgd", "train.steps=2"], "measures.conditioning"),
    "polynomial": (["model=legendre", "data.num_test=10"], "one real number"),
    "cutoff": (["optimizer.cutoff=2.0"], "optimizer.cutoff=2.0: must be at least 0 and at most 1"),
    "alias out of range": (["data.noise_variance=${seed}", "seed=-1"], "seed=-1"),
    "covariance": (["data.eigenvalues=[-1.0]"], "data.eigenvalues=[-1.0]"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_and_nothing_is_stored(mistake, sweep, capsys):
    words, says = MISTAKES[mistake]
    assert main(["sweep", sweep, *words]) == 2
    printed = capsys.readouterr().err
    assert says in printed
    assert printed.count("\n") == 1
    assert not Path("results").exists()


def test_a_network_is_trained_on_regression_data_as_on_any(sweep):
    words = [
        "model=mlp",
        "optimizer=adam",
        "optimizer.weight_decay=0.0",
        "measures=default",
        "data.num_test=50",
        "train.dtype=float32",
    ]
    assert main(["sweep", sweep, *words, "model.width=8", "seed=0,1", "train.steps=300"]) == 0
    results = ddlab.load("results/s")
    final = results.curves[results.curves["step"] == 300]
    assert (final["train_loss"] < 0.1).all()
    np.testing.assert_allclose(final["test_loss"], final["excess_risk"] + 0.25, rtol=1e-6)
    assert results.trials["data_checksum"].nunique() == 2


def test_the_widths_of_few_problems_are_dealt_to_all_devices(sweep):
    assert main(["sweep", sweep, "out=many"]) == 0
    assert main(["sweep", sweep, "seed=4", "model.width=2,8,40"]) == 0  # of two devices one solves two widths, one the third
    alone = metrics("results/s")
    together = metrics("many").query("trial_id in @alone.trial_id").reset_index(drop=True)
    assert len(alone) == len(together) == 12
    for name, column in alone.items():
        if column.dtype.kind == "f":
            np.testing.assert_allclose(column, together[name], rtol=1e-9, atol=1e-13, err_msg=str(name))


@pytest.mark.parametrize(("num_devices", "shape"), [(1, (3, 4, 2)), (2, (6, 2, 2)), (16, (12, 1, 2))])
def test_problems_are_dealt_evenly_with_widths_ascending(num_devices, shape):
    base = leaves_of("data=gaussian", "model=linear", "optimizer=ridge", "train=exact", "measures=exact")
    trials = [
        {**base, "init_seed": seed, "model.width": width, "optimizer.weight_decay": penalty}
        for width in (8, 2, 40, 20)
        for seed in range(3)
        for penalty in (0.0, 0.1)
    ]
    problems = deal(trials, num_devices)
    assert problems.shape == shape
    assert sorted(problems.ravel()) == list(range(24))
    for problem in problems:
        assert len({trials[index]["init_seed"] for index in problem.ravel()}) == 1
        widths = [{trials[index]["model.width"] for index in row} for row in problem]
        assert [len(width) for width in widths] == [1] * len(widths)
        assert sorted(widths, key=min) == widths


def test_few_trials_are_repeated_where_some_inputs_have_more_widths():
    base = leaves_of("data=gaussian", "model=linear", "optimizer=ridge", "train=exact", "measures=exact")
    one_width = [{**base, "init_seed": seed, "model.width": 7} for seed in range(30)]
    all_widths = [{**base, "init_seed": 30, "model.width": width} for width in range(1, 21)]
    problems = deal([*one_width, *all_widths], 2)
    assert set(problems.ravel()) == set(range(50))
    assert problems.size <= 60
