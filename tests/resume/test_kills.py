"""A sweep that is killed or signalled goes on, and ends with the curves of an uninterrupted one."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import ddlab
from ddlab.cli import main
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
)

pytestmark = pytest.mark.usefixtures("with_tests")
WORDS = [sys.executable, "-m", "ddlab.cli", "sweep", "hard", *LONG]


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
def uninterrupted(tmp_path_factory, with_tests):
    directory = tmp_path_factory.mktemp("whole")
    write_sweep(directory, "hard", HARD)
    started = time.monotonic()
    command("sweep", "hard", *LONG, cwd=directory)
    return curves(directory / "results/hard"), time.monotonic() - started


def check_equal(uninterrupted):
    command("sweep", "hard", *LONG, cwd=Path.cwd())
    trials = ddlab.load("results/hard").trials
    assert trials["trial_id"].is_unique
    assert set(trials["status"]) == {"completed"}
    pd.testing.assert_frame_equal(curves("results/hard"), uninterrupted[0], check_exact=True)
    assert not list(Path("results/hard/checkpoints").glob("*/*"))


def test_a_killed_sweep_goes_on_and_equals_an_uninterrupted_one(hard, uninterrupted):
    kill_in_training(0.0)
    kill_in_training(0.0)
    check_equal(uninterrupted)


@pytest.mark.slow
def test_a_sweep_killed_at_ten_random_moments_equals_an_uninterrupted_one(hard, uninterrupted):
    moments = random.Random(4)
    for _ in range(5):
        kill_in_training(moments.uniform(0, 0.1))
    for _ in range(5):
        kill_at(moments.uniform(0.2, 1.0) * uninterrupted[1])
    check_equal(uninterrupted)


def test_a_signal_stops_at_an_eval_point_and_the_same_command_goes_on(hard, uninterrupted):
    """SIGTERM; SIGINT is what `interrupt_after` sends."""
    words = ("sweep", "hard", *LONG)
    process = subprocess.Popen([sys.executable, "-m", "ddlab.cli", *words], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while "step" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    message = process.communicate()[1]
    assert process.returncode == 130, message
    assert "Go on with:\n  ddlab sweep hard " in message
    assert list(Path("results/hard/checkpoints").glob("*/*"))
    command(*words, cwd=Path.cwd())
    pd.testing.assert_frame_equal(curves("results/hard"), uninterrupted[0], check_exact=True)


def test_a_checkpoint_may_be_taken_up_on_another_number_of_devices(tiny, monkeypatch, fast_packs):
    words = ("sweep", tiny, "seed=0", "pack.checkpoint_seconds=0")
    with monkeypatch.context() as patched:
        steps = interrupt_after(patched, 3)
        assert main(list(words)) == 130
    assert 0 < steps[-1] < 40
    assert list(Path("results/tiny/checkpoints").glob("*/*"))
    command(*words, "pack.cpu_devices=1", cwd=Path.cwd())
    assert set(ddlab.load("results/tiny").trials["status"]) == {"completed"}
