"""`ddlab sweep`: interruption and resuming, extending, divergence, launchers, compilations."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest

import ddlab
import ddlab.run.pack
import ddlab.training.run
from ddlab.cli import main
from ddlab.errors import Interrupted
from ddlab.store.store import Store
from ddlab.training.compiled import Compiled
from tests.support import ddlab as command

TINY = """\
defaults:
  - ddlab
  - _self_
axes:
  model.width: 3,5,8
  seed: range(2)
data: {num_train: 200, num_test: 100, label_noise: 0.2}
train: {steps: 40, batch_size: 20, num_evals: 6}
figures:
  curve: {recipe: double_descent, x: model.width}
"""


@pytest.fixture
def tiny(workplace):
    (workplace / "tiny.yaml").write_text(TINY)
    return "tiny.yaml"


def curves(directory: str | Path = "results/tiny") -> pd.DataFrame:
    results = ddlab.load(directory)
    return results.curves.sort_values(["trial_id", "step"], ignore_index=True)


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


def test_each_pack_planned_compiles_two_programs_one_that_trains_and_one_that_measures(tiny):
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: compiled.append(event) if event.endswith("backend_compile_duration") else None
    )
    try:
        main(["sweep", tiny, "train.steps=20,40", "pack.max_trials=4"])
    finally:
        jax.monitoring.clear_event_listeners()
    packs = Store("results/tiny").read_plan()["pack"].nunique()
    assert packs == 4
    assert len(compiled) == 2 * packs


def test_a_diverged_trial_has_its_status_and_the_others_their_curves(tiny):
    overrides = ["optimizer=sgd", "optimizer.momentum=0.9", "model.width=8", "seed=0"]
    main(["sweep", tiny, *overrides, "optimizer.learning_rate=0.01,0.02,0.03,0.04,0.05,0.06,0.07,0.08,0.09", "out=sane"])
    main(["sweep", tiny, *overrides, "optimizer.learning_rate=0.01,0.02,0.03,0.04,0.05,0.06,0.07,0.08,0.09,1e6", "out=wild"])
    wild = ddlab.load("wild").trials.set_index("trial_id")
    diverged = wild.index[wild["optimizer.learning_rate"] == 1e6]
    assert wild.loc[diverged, "status"].tolist() == ["diverged"]
    assert (wild["status"] == "completed").sum() == 9
    rest = curves("wild").query("trial_id not in @diverged").reset_index(drop=True)
    pd.testing.assert_frame_equal(rest, curves("sane"), check_exact=True)


def test_trials_stop_early_when_the_metric_has_held(tiny):
    main(
        [
            "sweep",
            tiny,
            "train.stop_metric=test_loss",
            "train.stop_below=100",
            "train.stop_patience=2",
            "train.num_evals=10",
        ]
    )
    results = ddlab.load("results/tiny")
    assert set(results.trials["status"]) == {"stopped"}
    assert (results.curves.groupby("trial_id").size() == 2).all()


def test_trials_that_have_stopped_leave_and_the_others_do_not_notice(tiny, monkeypatch):
    stops = [
        f"train.{setting}"
        for setting in ("stop_metric=train_loss", "stop_below=2.2", "stop_patience=1", "steps=120", "num_evals=40")
    ]
    axes = ["optimizer.learning_rate=0.000003,0.0001,0.0003,0.001", "model.width=3000", "seed=range(3)"]
    left = []
    place = Compiled.place

    def placed(compiled, alive=None):
        if alive is not None:
            left.append(alive.sum())
        return place(compiled, alive)

    monkeypatch.setattr(Compiled, "place", placed)
    main(["sweep", tiny, *stops, *axes, "out=leaving"])
    assert left
    assert left == sorted(left, reverse=True)
    monkeypatch.setattr(ddlab.training.run, "WORTH_MOVING", 0.0)
    left.clear()
    main(["sweep", tiny, *stops, *axes, "out=staying"])
    assert not left
    pd.testing.assert_frame_equal(curves("leaving"), curves("staying"), check_exact=True)
    assert set(ddlab.load("leaving").trials["status"]) == {"stopped", "completed"}


COUNT_PROGRAMS = """
import collections, sys
import jax
from ddlab.cli import main
events = collections.Counter()
jax.monitoring.register_event_listener(lambda event, **_: events.update([event.rpartition("/")[2]]))
assert main(sys.argv[1:]) == 0
print(events["cache_hits"], events["cache_misses"])
"""


def programs_of(*words: str) -> tuple[int, int]:
    """Run the command as a process of its own; return how many programs it took from the cache, and how many it compiled."""
    done = subprocess.run([sys.executable, "-c", COUNT_PROGRAMS, *words], capture_output=True, text=True, check=True)
    hits, misses = done.stdout.split()[-2:]
    return int(hits), int(misses)


def test_the_next_process_takes_programs_from_the_cache(tiny, tmp_path, monkeypatch):
    shutil.copytree(os.environ["DDLAB_CACHE"], tmp_path / "cache", ignore=shutil.ignore_patterns("programs"))
    monkeypatch.setenv("DDLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    taken, compiled = programs_of("sweep", tiny, "out=first")
    assert taken == 0
    assert compiled > 0
    assert programs_of("sweep", tiny, "out=second") == (compiled, 0)
    other_numbers = ("optimizer.learning_rate=0.01", "optimizer.weight_decay=0.1", "data.label_noise=0.5", "seed=7,8")
    assert programs_of("sweep", tiny, *other_numbers, "out=other") == (compiled, 0)
    pd.testing.assert_frame_equal(curves(tmp_path / "first"), curves(tmp_path / "second"), check_exact=True)
    shutil.rmtree(tmp_path / "cache" / "compiled")
    assert main(["sweep", tiny, "out=third", "pack.compile_cache_mib=0"]) == 0
    assert not (tmp_path / "cache" / "compiled").exists()


def test_a_change_of_measures_compiles_the_evaluation_only(tiny, tmp_path, monkeypatch):
    shutil.copytree(os.environ["DDLAB_CACHE"], tmp_path / "cache", ignore=shutil.ignore_patterns("programs"))
    monkeypatch.setenv("DDLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    _, compiled = programs_of("sweep", tiny, "out=first")
    assert programs_of("sweep", tiny, "measures=none", "out=second") == (compiled - 1, 1)


def test_status_compares_the_estimate_with_where_the_time_went(tiny, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    main(["sweep", tiny, "train.steps=4000", "train.eval_spacing=linear", "train.num_evals=5"])
    capsys.readouterr()
    assert main(["status", "results/tiny"]) == 0
    printed = capsys.readouterr().out
    for word in ("mate", "actual", "trial-", "steps/s", "compile", "step", "eval", "host"):
        assert word in printed
    about = Store("results/tiny").read_abouts()[0]
    assert about["trial_steps"] == 6 * 4000
    parts = about["step_seconds"] + about["eval_seconds"] + about["host_seconds"]
    assert parts == pytest.approx(about["run_seconds"])


def test_a_profile_is_written_where_it_is_asked_for(tiny, workplace):
    command("sweep", tiny, "profile=true", cwd=workplace)
    found = {path.suffix for path in (workplace / "results/tiny/profile/pack=00000").rglob("*") if path.is_file()}
    assert {".pb", ".gz"} <= found
    assert not (workplace / "results/tiny/checkpoints").exists() or not list((workplace / "results/tiny/checkpoints").glob("*/*"))


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


LONG = (
    "train.steps=20000",
    "train.num_evals=200",
    "train.eval_spacing=linear",
    "pack.checkpoint_seconds=0.05",
    "pack.max_trials=3",
)


WORDS = [sys.executable, "-m", "ddlab.cli", "sweep", "tiny.yaml", *LONG]


def kill_at(moment: float) -> None:
    """Start the sweep and kill it after some seconds, wherever it is."""
    process = subprocess.Popen(WORDS, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    time.sleep(moment)
    process.kill()
    process.communicate()
    assert process.returncode in (-signal.SIGKILL, 0)


def kill_in_training(delay: float) -> None:
    """Start the sweep and kill it some seconds after it has written a checkpoint."""
    started = time.time()
    process = subprocess.Popen(WORDS, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    while not [path for path in Path("results").glob("tiny/checkpoints/*/*/about.json") if path.stat().st_mtime > started]:
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(delay)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    directory = tmp_path_factory.mktemp("whole")
    (directory / "tiny.yaml").write_text(TINY)
    started = time.monotonic()
    command("sweep", "tiny.yaml", *LONG, cwd=directory)
    return curves(directory / "results/tiny"), time.monotonic() - started


def check_equal(uninterrupted):
    command("sweep", "tiny.yaml", *LONG, cwd=Path.cwd())
    trials = ddlab.load("results/tiny").trials
    assert trials["trial_id"].is_unique
    assert set(trials["status"]) == {"completed"}
    pd.testing.assert_frame_equal(curves(), uninterrupted[0], check_exact=True)
    assert not list(Path("results/tiny/checkpoints").glob("*/*"))


def test_a_killed_sweep_goes_on_and_equals_an_uninterrupted_one(tiny, uninterrupted):
    kill_in_training(0.0)
    kill_in_training(0.0)
    check_equal(uninterrupted)


@pytest.mark.slow
def test_a_sweep_killed_at_ten_random_moments_equals_an_uninterrupted_one(tiny, uninterrupted):
    moments = random.Random(4)
    for _ in range(5):
        kill_in_training(moments.uniform(0, 0.1))
    for _ in range(5):
        kill_at(moments.uniform(0.2, 1.0) * uninterrupted[1])
    check_equal(uninterrupted)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_at_an_eval_point_and_the_same_command_goes_on(tiny, uninterrupted, number):
    words = ("sweep", "tiny.yaml", *LONG)
    process = subprocess.Popen([sys.executable, "-m", "ddlab.cli", *words], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while "step" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(number)
    message = process.communicate()[1]
    assert process.returncode == 130, message
    assert "Go on with:\n  ddlab sweep tiny.yaml train.steps=20000" in message
    assert list(Path("results/tiny/checkpoints").glob("*/*"))
    command(*words, cwd=Path.cwd())
    pd.testing.assert_frame_equal(curves(), uninterrupted[0], check_exact=True)


def test_a_damaged_part_is_reported_in_one_line_and_the_rest_is_drawn(tiny):
    main(["sweep", tiny, "pack.max_trials=3"])
    part = Store("results/tiny").part_file(1, 0)
    part.write_bytes(b"damaged")
    done = command("report", "tiny", cwd=Path.cwd())
    assert done.stderr.count("\n") == 1
    assert "part-00000.parquet: damaged, left out" in done.stderr
    assert Path("results/tiny/report/curve.png").exists()
    assert part.read_bytes() == b"damaged"


def test_a_checkpoint_may_be_taken_up_on_another_number_of_devices(tiny, monkeypatch):
    record, recorded = ddlab.training.run.TrainingRun._record, []

    def record_and_interrupt(run, point):
        record(run, point)
        recorded.append(point.step)
        if len(recorded) == 3:
            os.kill(os.getpid(), signal.SIGINT)

    words = ("sweep", tiny, "seed=0", "pack.checkpoint_seconds=0")
    with monkeypatch.context() as patched:
        patched.setattr(ddlab.training.run.TrainingRun, "_record", record_and_interrupt)
        assert main(list(words)) == 130
    assert 0 < recorded[-1] < 40
    assert list(Path("results/tiny/checkpoints").glob("*/*"))
    command(*words, "pack.cpu_devices=1", cwd=Path.cwd())
    assert set(ddlab.load("results/tiny").trials["status"]) == {"completed"}


@pytest.mark.parametrize("damage", ["about.json", "state.npz"])
def test_a_damaged_checkpoint_is_reported_and_the_pack_begins_again(tiny, uninterrupted, damage):
    kill_in_training(0.0)
    for path in Path("results/tiny/checkpoints").glob(f"*/*/{damage}"):
        path.write_text("garbage")
    done = command("sweep", "tiny.yaml", *LONG, cwd=Path.cwd())
    assert "damaged, not used" in done.stderr
    pd.testing.assert_frame_equal(curves(), uninterrupted[0], check_exact=True)


def test_provenance_holds_the_command_as_it_was_typed(tiny):
    main(["sweep", tiny, "seed=range(1)", "model.width=3", "train.steps=2"])
    (run,) = json.loads(Store("results/tiny").provenance_file.read_text())
    assert run["command"] == "ddlab sweep tiny.yaml 'seed=range(1)' model.width=3 train.steps=2"
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


def test_a_pack_compiled_ahead_is_not_taken_for_another_of_the_same_number(tiny, monkeypatch):
    def stop(_):
        raise Interrupted("SIGINT")

    with monkeypatch.context() as patched:
        patched.setattr(ddlab.training.run.TrainingRun, "run", stop)
        assert main(["sweep", tiny, "pack.max_trials=2", "out=a"]) == 130
    assert main(["sweep", tiny, "pack.max_trials=3", "out=a"]) == 0
    assert main(["sweep", tiny, "pack.max_trials=3", "out=b"]) == 0
    pd.testing.assert_frame_equal(curves("a"), curves("b"), check_exact=True)


def test_a_users_own_jax_cache_is_respected(tiny, tmp_path):
    environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "own"), "DDLAB_CACHE": str(tmp_path / "cache")}
    shutil.copytree(os.environ["DDLAB_CACHE"], tmp_path / "cache", ignore=shutil.ignore_patterns("programs"))
    words = [sys.executable, "-m", "ddlab.cli", "sweep", tiny]
    subprocess.run(words, env=environment, capture_output=True, check=True)
    assert not (tmp_path / "cache" / "compiled").exists()


def test_packs_run_in_parallel_processes_with_joblib(tiny):
    main(["sweep", tiny, "pack.max_trials=3", "pack.cpu_devices=1", "out=one"])
    command("sweep", tiny, "pack.max_trials=3", "pack.cpu_devices=1", "out=two", "hydra/launcher=joblib", cwd=Path.cwd())
    one, two = curves("one"), curves("two")
    numbers = [name for name in one if name not in ("trial_id", "step")]
    pd.testing.assert_frame_equal(one[["trial_id", "step"]], two[["trial_id", "step"]])
    np.testing.assert_allclose(one[numbers], two[numbers], rtol=1e-4)


def test_a_pack_that_fails_is_one_line_and_the_others_are_stored(tiny, workplace, monkeypatch, capfd):
    (workplace / "broken.py").write_text(
        "from dataclasses import dataclass\nfrom ddlab.data.mnist1d import MNIST1D\n"
        "@dataclass(frozen=True)\nclass Broken(MNIST1D):\n"
        "    def load(self):\n        assert self.num_train < 200, 'broken on purpose'\n        return super().load()\n"
    )
    monkeypatch.syspath_prepend(workplace)
    words = ["sweep", tiny, "data._target_=broken.Broken", "data.num_train=100,200", "seed=0"]
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
