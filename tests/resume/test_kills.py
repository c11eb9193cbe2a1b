"""A sweep that is killed or signalled goes on, and ends with the curves of an uninterrupted one."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import pandas as pd
import pytest

import ddlab
from ddlab.cli import main
from ddlab.store.store import Store
from tests.networks import wide
from tests.support import TINY, command, curves, interrupt_after, write_sweep

# Networks with dropout and batch statistics, of three widths and two numbers of examples.
HARD = TINY.replace("seed: range(2)", "data.num_train: 150,200")
LONG = (
    *wide(rate=0.2, normalized="true", weight=0.003),
    "train.steps=8000",
    "train.num_evals=80",
    "train.eval_spacing=linear",
    "pack.checkpoint_seconds=0.05",
    "+measures.path._target_=tests.measures.paths.ToFinal",
    "+measures.path.every=8",
    "pack.cpu_devices=2",  # as this process has, so that it may go on, bit for bit, where another was killed
)

pytestmark = pytest.mark.usefixtures("with_tests")
SWEEP = ["sweep", "hard", *LONG]
WORDS = [sys.executable, "-m", "ddlab.cli", *SWEEP]


@pytest.fixture(scope="module")
def with_tests():
    """Processes find the tests' own networks."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        yield


@pytest.fixture
def hard(workplace):
    """The name of a sweep of such networks, in an empty working directory."""
    write_sweep(workplace, "hard", HARD)
    return "hard"


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
    while not [path for path in Path("results").glob("hard/checkpoints/*/*/about.json") if path.stat().st_mtime > started]:
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(delay)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The curves of a sweep that nothing stops."""
    directory = tmp_path_factory.mktemp("whole")
    write_sweep(directory, "hard", HARD)
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(directory)
        assert main(SWEEP) == 0
    return curves(directory / "results/hard")


def check_equal(uninterrupted):
    """Let the sweep go on here; it must end as the one that nothing stopped."""
    assert main(SWEEP) == 0
    trials = ddlab.load("results/hard").trials
    assert trials["trial_id"].is_unique
    assert set(trials["status"]) == {"completed"}
    pd.testing.assert_frame_equal(curves("results/hard"), uninterrupted, check_exact=True)
    assert not list(Path("results/hard/checkpoints").glob("*/*"))


def test_a_killed_sweep_goes_on_and_equals_an_uninterrupted_one(hard, uninterrupted):
    kill_in_training(0.0)
    check_equal(uninterrupted)


@pytest.mark.slow
def test_a_sweep_killed_at_ten_random_moments_equals_an_uninterrupted_one(hard, uninterrupted):
    moments, started = random.Random(4), time.monotonic()
    command(*SWEEP, "out=timed", cwd=Path.cwd())
    seconds = time.monotonic() - started
    for _ in range(5):
        kill_in_training(moments.uniform(0, 0.1))
    for _ in range(5):
        kill_at(moments.uniform(0.2, 1.0) * seconds)
    check_equal(uninterrupted)


def test_a_signal_stops_at_an_eval_point_and_the_same_command_goes_on(hard, uninterrupted, monkeypatch, capsys):
    with monkeypatch.context() as patched:
        interrupt_after(patched, 3, signal.SIGTERM)
        assert main(SWEEP) == 130
    assert "Go on with:\n  ddlab sweep hard " in capsys.readouterr().err
    assert list(Path("results/hard/checkpoints").glob("*/*"))
    check_equal(uninterrupted)


def test_a_checkpoint_may_be_taken_up_on_another_number_of_devices(tiny, monkeypatch):
    words, both = ["sweep", tiny, "seed=0", "pack.checkpoint_seconds=0"], jax.local_devices()
    with monkeypatch.context() as patched:
        steps = interrupt_after(patched, 3)
        assert main(words) == 130
    assert 0 < steps[-1] < 40
    assert list(Path("results/tiny/checkpoints").glob("*/*"))
    monkeypatch.setattr(jax, "local_devices", lambda: both[:1])
    assert main(words) == 0
    (about,) = Store("results/tiny").read_abouts().values()
    assert about["devices"] == ["cpu:0"]
    assert set(ddlab.load("results/tiny").trials["status"]) == {"completed"}
