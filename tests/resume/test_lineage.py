"""Trials that start from others: bit for bit what they go on from, whatever is lost or killed on the way."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import ddlab
from ddlab.cli import main
from ddlab.store import kept
from ddlab.store.store import Store
from tests.support import curves, write_sweep

HEAD = """\
defaults: [ddlab, override data: digits, _self_]
axes: {seed: range(3)}
data: {num_train: 60, label_noise: 0.2}
model: {width: 8}
optimizer: {schedule: cosine}
train: {steps: 60, batch_size: 20, num_evals: 8}
measures: {gradient_norm: null}
"""
GOES_ON = """\
stages:
  dense: {}
  same: {start: {values: {trial: dense, step: 23}, optimizer: kept, go_on: true}}
  half: {start: {values: {trial: dense, step: 20}, optimizer: kept, go_on: true}, seed: 1}
"""
TICKETS = """\
stages:
  dense: {}
  ticket: {rounds: 3, first: dense, start: {mask: {cut: magnitude, of: previous, drop: 0.3}}}
  random: {start: {draw: 1, mask: {copy: ticket, shuffle: true}}}
"""
# As this process has, so that it may go on, bit for bit, where another was killed.
SWEEP = ["sweep", "tickets", "pack.cpu_devices=2", "pack.checkpoint_seconds=0"]


def by_stage(root, stage):
    """Return the curves of a stage by seed and step."""
    results = ddlab.load(root)
    trials = results.trials.set_index("trial_id")
    rows = results.curves[results.curves["trial_id"].map(trials["stage"]) == stage]
    rows = rows.assign(seed=rows["trial_id"].map(trials["seed"])).drop(columns="trial_id")
    return rows.set_index(["seed", "step"]).sort_index()


def test_a_trial_that_goes_on_from_another_has_its_curve_bit_for_bit(workplace):
    """Values, optimizer and clock of the other at a step which is no eval point; three trials of it, and one alone."""
    write_sweep(workplace, "same", HEAD + GOES_ON)
    assert main(["sweep", "same"]) == 0
    dense, same, half = (by_stage("results/same", stage) for stage in ("dense", "same", "half"))
    for child, begun, seeds in ((same, 23, [0, 1, 2]), (half, 20, [1])):
        later = dense[(dense.index.get_level_values("step") > begun) & dense.index.get_level_values("seed").isin(seeds)]
        assert len(later) >= 2 * len(seeds)
        found = child.drop(begun, level="step")
        pd.testing.assert_frame_equal(found[later.columns.intersection(found.columns)], later, check_exact=True)
        assert child.index.get_level_values("step").min() == begun


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The curves of tickets that nothing stops, and the directory in which their weights are kept."""
    directory = tmp_path_factory.mktemp("whole")
    write_sweep(directory, "tickets", HEAD + TICKETS)
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(directory)
        assert main([*SWEEP, "pack.keep_weights=true"]) == 0
    return directory / "results/tickets"


def check_equal(whole, root="results/tickets"):
    pd.testing.assert_frame_equal(curves(whole), curves(root), check_exact=True)


def test_weights_are_kept_while_a_trial_is_to_start_from_them(whole, workplace):
    levels = Store(whole).read_plan().groupby("pack")["level"].first()
    assert sorted(int(path.name.removeprefix("pack=")) for path in (whole / "kept").iterdir()) == list(levels[levels < 4].index)
    write_sweep(workplace, "tickets", HEAD + TICKETS)
    assert main(SWEEP) == 0
    check_equal(whole)
    assert not list(Path("results/tickets/kept").glob("*"))


def test_weights_that_are_lost_are_made_again(whole, workplace, capsys):
    """Of all levels: those of a level are made again from those of the level below."""
    write_sweep(workplace, "tickets", HEAD + TICKETS)
    assert main([*SWEEP, "stages.ticket.rounds=2"]) == 0
    assert not list(Path("results/tickets/kept").glob("*"))
    capsys.readouterr()
    assert main([*SWEEP, "extend=true"]) == 0
    assert "the weights of pack 2 are not kept; it is trained again" in capsys.readouterr().err
    check_equal(whole)


def test_damaged_weights_are_made_again(whole, workplace):
    shutil.copytree(whole, "results/tickets")
    write_sweep(workplace, "tickets", HEAD + TICKETS)
    store = Store("results/tickets")
    for path in Path("results/tickets/kept").glob("pack=00001/*/arrays.npz"):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    for pack in (2, 3, 4):
        store.clear_pack(pack)
    assert main(SWEEP) == 0
    check_equal(whole)


@pytest.mark.parametrize("level", [1, *(pytest.param(level, marks=pytest.mark.slow) for level in (0, 3))])
def test_a_sweep_that_ends_while_weights_are_written_goes_on(whole, workplace, monkeypatch, level):
    write_sweep(workplace, "tickets", HEAD + TICKETS)
    write, written = kept.write_arrays, []

    def fail(directory, *rest):
        written.append(directory)
        if len(written) > level:
            (directory / "arrays.npz").parent.mkdir(parents=True)
            (directory / "arrays.npz").write_bytes(b"half of it")
            raise SystemExit
        write(directory, *rest)

    monkeypatch.setattr(kept, "write_arrays", fail)
    with pytest.raises(SystemExit):
        main(SWEEP)
    monkeypatch.undo()
    monkeypatch.chdir(workplace)
    assert main(SWEEP) == 0
    check_equal(whole)


@pytest.mark.slow
@pytest.mark.parametrize("moment", range(6))
def test_a_killed_sweep_of_stages_goes_on(whole, workplace, monkeypatch, moment):
    """Killed once so many packs have begun, within a level or between two."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    write_sweep(workplace, "tickets", HEAD + TICKETS)
    process = subprocess.Popen([sys.executable, "-m", "ddlab.cli", *SWEEP], stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    while len(list(Path("results").glob("tickets/curves/*/part-*"))) < 1 + 7 * moment:
        assert process.poll() is None
        time.sleep(0.002)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert main(SWEEP) == 0
    check_equal(whole)


EQUALS = """\
stages:
  dense: {}
  stopped: {train.stop_metric: train_loss, train.stop_below: 100, train.stop_patience: 3}
  of_dense: {train.stop_metric: null, start: {values: dense}}
  of_stopped: {train.stop_metric: null, start: {values: stopped}}
  mean_of_dense: {train.stop_metric: null, start: {draw: 1, values: {average: dense}}}
  later_of_stopped: {train.stop_metric: null, start: {draw: 1, values: {trial: stopped, step: 59}}}
"""


@pytest.mark.usefixtures("fast_packs")
def test_of_trials_of_equal_weights_each_is_taken_where_it_ended(workplace, capsys):
    """Kept as it ends, though nobody knew when that would be; where it is lost, made again."""
    write_sweep(workplace, "equals", HEAD + EQUALS)
    assert main(["sweep", "equals", "seed=0"]) == 0
    assert "trained again" not in capsys.readouterr().err
    ends = {stage: by_stage("results/equals", stage)["test_loss"].iloc[-1] for stage in ("dense", "stopped")}
    assert ends["dense"] != ends["stopped"]
    for child in ("of_dense", "of_stopped", "mean_of_dense", "later_of_stopped"):
        assert by_stage("results/equals", child)["test_loss"].iloc[0] == ends[child.rpartition("_")[2]]
    before, store = curves("results/equals"), Store("results/equals")
    for pack in set(store.read_plan().query("level == 1")["pack"]):
        store.clear_pack(pack)
    assert main(["sweep", "equals", "seed=0"]) == 0
    assert "trained again" in capsys.readouterr().err
    pd.testing.assert_frame_equal(curves("results/equals"), before, check_exact=True)


@pytest.mark.usefixtures("fast_packs")
def test_children_of_a_trial_that_diverged_are_orphans(workplace):
    write_sweep(workplace, "orphans", HEAD + TICKETS)
    assert main(["sweep", "orphans", "train.divergence_factor=1.000001", "optimizer.learning_rate=0.001,300", "seed=0"]) == 0
    results = ddlab.load("results/orphans")
    lost = results.trials["optimizer.learning_rate"] == 300
    assert set(results.trials.loc[~lost, "status"]) == {"completed"}
    assert dict(results.trials[lost].groupby("stage")["status"].first()) == {
        "dense": "diverged",
        "ticket": "orphaned",
        "random": "orphaned",
    }
    orphans = results.trials.loc[results.trials["status"] == "orphaned", "trial_id"]
    assert len(orphans) == 6
    assert not results.curves["trial_id"].isin(orphans).any()
    assert main(["status", "orphans"]) == 0
