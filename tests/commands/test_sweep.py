"""`ddlab sweep`: what is stored, going on, extending, and what one command says."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd
import pytest

import ddlab
from ddlab.cli import main
from ddlab.store.store import Store
from tests.support import curves

pytestmark = pytest.mark.usefixtures("fast_packs")


def test_a_sweep_stores_every_trial_and_its_curves(tiny):
    assert main(["sweep", tiny]) == 0
    results = ddlab.load("results/tiny")
    assert len(results.trials) == 6
    assert set(results.trials["status"]) == {"completed"}
    expected = ["trial_id", "step", "train_loss", "test_loss", "train_error", "test_error", "weight_norm"]
    assert set(expected) <= set(results.curves.columns)
    counts = results.curves.groupby("trial_id")["step"].agg(["count", "min", "max"])
    assert (counts["min"] == 0).all()
    assert (counts["max"] == 40).all()
    assert results.curves[["train_error", "test_error"]].stack().between(0, 1).all()
    for key in ("model.width", "optimizer.weight_decay", "seed", "num_params", "num_train", "params_per_sample", "seconds"):
        assert results.trials[key].notna().all()
    formula = 41 * results.trials["model.width"] + 10 * (results.trials["model.width"] + 1)
    assert (results.trials["num_params"] == formula).all()


def test_the_same_command_again_trains_nothing_and_more_values_only_the_new_trials(tiny, capsys):
    main(["sweep", tiny, "seed=0"])
    before = {path: path.read_bytes() for path in Path("results/tiny").glob("*s/*/*.parquet")}
    main(["sweep", tiny, "seed=0"])
    assert "3 of 3 trials are stored already" in capsys.readouterr().err
    main(["sweep", tiny])
    assert {path: path.read_bytes() for path in before} == before
    results = ddlab.load("results/tiny")
    assert results.trials["trial_id"].is_unique
    assert sorted(results.trials["seed"]) == [0, 0, 0, 1, 1, 1]
    assert set(results.trials["status"]) == {"completed"}


def test_a_mistake_that_a_pack_finds_is_one_line(tiny, capfd):
    assert main(["sweep", tiny, "train.stop_metric=test_eror"]) == 2
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert "train.stop_metric=test_eror: no such metric" in said


def test_another_base_config_is_refused_unless_asked(tiny, capsys):
    main(["sweep", tiny, "seed=0"])
    before = curves()
    capsys.readouterr()
    assert main(["sweep", tiny, "seed=0", "train.steps=80"]) == 2
    message = capsys.readouterr().err
    assert "train.steps: 40 stored, 80 now" in message
    assert message.count("\n") == 1
    pd.testing.assert_frame_equal(before, curves())
    assert main(["sweep", tiny, "seed=0", "train.steps=80", "extend=true"]) == 0
    assert sorted(ddlab.load("results/tiny").trials["train.steps"].unique()) == [40, 80]


def test_provenance_holds_the_command_as_it_was_typed(tiny):
    main(["sweep", tiny, "seed=range(1)", "model.width=3", "train.steps=2"])
    (run,) = json.loads(Store("results/tiny").provenance_file.read_text())
    assert run["command"] == "ddlab sweep tiny 'seed=range(1)' model.width=3 train.steps=2"
    assert {"jax", "flax", "ddlab"} <= set(run["versions"])


def test_a_group_axis_does_not_hide_another_base(tiny, capsys):
    main(["sweep", tiny, "seed=0", "model.width=3"])
    assert main(["sweep", tiny, "seed=0", "model.width=3", "optimizer=adam,sgd", "train.steps=7"]) == 2
    assert "train.steps: 40 stored, 7 now" in capsys.readouterr().err
    assert main(["sweep", tiny, "seed=0", "model.width=3", "optimizer=adam,sgd"]) == 0
    assert main(["sweep", tiny, "seed=0", "model.width=3", "train.steps=7", "extend=true"]) == 0
    assert main(["sweep", tiny, "seed=0", "model.width=3"]) == 0
    assert len(ddlab.load("results/tiny").trials) == 3


def test_a_mistake_found_by_the_first_pack_does_not_block_the_mended_command(tiny, capsys):
    assert main(["sweep", tiny, "seed=0", "train.stop_metric=test_eror"]) == 2
    assert "did you mean 'test_error'" in capsys.readouterr().err
    assert main(["sweep", tiny, "seed=0", "train.stop_metric=test_error"]) == 0


def test_unbegun_packs_are_packed_anew_when_the_packing_changes(tiny):
    assert main(["sweep", tiny, "seed=0", "train.stop_metric=test_eror", "out=a"]) == 2
    assert main(["sweep", tiny, "seed=0", "pack.max_trials=1", "out=a"]) == 0
    assert Store("a").read_plan()["pack"].nunique() == 3


def test_a_pack_that_fails_is_one_line_and_the_others_are_stored(tiny, workplace, monkeypatch, capfd):
    (workplace / "broken.py").write_text(
        "from dataclasses import dataclass\nfrom ddlab.data.mnist1d import MNIST1D\n"
        "@dataclass(frozen=True)\nclass Broken(MNIST1D):\n"
        "    def load(self):\n        assert self.num_test < 100, 'broken on purpose'\n        return super().load()\n"
    )
    monkeypatch.syspath_prepend(workplace)
    words = ["sweep", tiny, "data._target_=broken.Broken", "data.num_test=50,100", "seed=0"]
    assert main(words) == 1
    line = "pack 1 failed: broken.Broken.load: AssertionError: broken on purpose (HYDRA_FULL_ERROR=1 shows the traceback)"
    assert [text for text in capfd.readouterr().err.splitlines() if "pack 1/" not in text] == [f"ddlab: {line}"]
    assert ddlab.load("results/tiny").trials["status"].tolist() == ["completed"] * 3 + ["pending"] * 3
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    assert main(words) == 1
    printed = capfd.readouterr().err
    assert 'broken.py", line 6, in load' in printed
    assert printed.endswith(f"ddlab: {line}\n")
    assert os.environ["HYDRA_FULL_ERROR"] == "1"
