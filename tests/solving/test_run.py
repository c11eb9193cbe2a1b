"""Packs of the exact solver on the real command: what is stored, more values, mistakes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import ddlab
from ddlab.cli import main
from tests.support import curves

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("fast_packs")]


def test_every_trial_is_stored_with_its_own_data(solved):
    assert main(["sweep", solved]) == 0
    results = ddlab.load("results/solved")
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
    assert main(["status", solved]) == 0


def test_more_values_solve_the_new_trials_only(solved):
    assert main(["sweep", solved]) == 0
    before = {path: path.stat().st_mtime_ns for path in Path("results/solved/curves").rglob("*.parquet")}
    assert main(["sweep", solved, "seed=range(8)", "model.width=2,8"]) == 0
    assert len(ddlab.load("results/solved").trials) == 48 + 8
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_trajectory_that_diverges_is_a_result_and_the_others_go_on(solved):
    words = ["optimizer=gradient_descent", "optimizer.weight_decay=0.0", "train.steps=400", "train.num_evals=20"]
    assert main(["sweep", solved, *words, "optimizer.learning_rate=0.01,10.0", "model.width=40", "seed=0"]) == 0
    results = ddlab.load("results/solved")
    status = results.trials.set_index("optimizer.learning_rate")["status"]
    assert status.to_dict() == {0.01: "completed", 10.0: "diverged"}
    lengths = results.trials.merge(results.curves, on="trial_id").groupby("optimizer.learning_rate").size()
    assert lengths[10.0] < lengths[0.01] <= 20


MISTAKES = {
    "model": (["model=mlp", "data.num_test=9"], "linear in its parameters"),
    "loss": (["train.loss=cross_entropy"], "train.loss=ddlab.losses.CrossEntropy: must be mse"),
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
def test_a_mistake_is_one_line_and_nothing_is_stored(mistake, solved, capsys):
    words, says = MISTAKES[mistake]
    assert main(["sweep", solved, *words]) == 2
    printed = capsys.readouterr().err
    assert says in printed
    assert printed.count("\n") == 1
    assert not Path("results").exists()


def test_a_network_is_trained_on_regression_data_as_on_any(solved):
    words = [
        "model=mlp",
        "optimizer=adam",
        "optimizer.weight_decay=0.0",
        "measures=default",
        "data.num_test=50",
        "train.dtype=float32",
    ]
    assert main(["sweep", solved, *words, "model.width=8", "seed=0,1", "train.steps=300"]) == 0
    results = ddlab.load("results/solved")
    final = results.curves[results.curves["step"] == 300]
    assert (final["train_loss"] < 0.1).all()
    np.testing.assert_allclose(final["test_loss"], final["excess_risk"] + 0.25, rtol=1e-6)
    assert results.trials["data_checksum"].nunique() == 2


def test_the_widths_of_few_problems_are_dealt_to_all_devices(solved):
    assert main(["sweep", solved, "out=many"]) == 0
    assert main(["sweep", solved, "seed=4", "model.width=2,8,40"]) == 0  # of two devices one solves two widths, one the third
    alone = curves("results/solved")
    together = curves("many").query("trial_id in @alone.trial_id").reset_index(drop=True)
    assert len(alone) == len(together) == 12
    for name, column in alone.items():
        if column.dtype.kind == "f":
            np.testing.assert_allclose(column, together[name], rtol=1e-9, atol=1e-13, err_msg=str(name))
