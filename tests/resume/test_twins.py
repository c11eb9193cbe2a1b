"""Twins that run one pack, and workers whose command is killed: every row is stored once."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from ddlab.store.store import Store
from tests import support
from tests.support import command, curves

TRAINED = """\
defaults: [ddlab, _self_]
axes: {model.width: "3,5", seed: range(3)}
data: {num_train: 200, num_test: 100, label_noise: 0.2}
train: {steps: 6000, batch_size: 20, num_evals: 300, eval_spacing: linear}
"""

SOLVED = """\
defaults: [ddlab, override data: gaussian, override model: linear, override optimizer: ridge, override train: exact,
  override measures: exact, _self_]
axes: {model.width: "range(2,40)", optimizer.weight_decay: "0,0.01,0.1,1", seed: range(15), data.seed: "${seed}"}
data: {num_train: 20, num_features: 50, num_test: 200}
"""

SWEEPS = {"trained": TRAINED, "solved": SOLVED}

SETTINGS = replace(support.SETTINGS, index=0, cpu_devices=1, checkpoint_seconds=0.05, compile_cache_mib=512)

RUN_PACK = (
    f"from ddlab.config.schema import PackSettings; from ddlab.run.pack import run_pack; run_pack('twins', 0, {SETTINGS!r})"
)


def planned_only(source: Path, target: Path) -> None:
    """Make a results directory that holds the plan of another and nothing else."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for name in ("sweep.yaml", "plan.parquet", "provenance.json"):
        shutil.copy(source / name, target / name)


def start_twin() -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", RUN_PACK], stderr=subprocess.PIPE, text=True)


def check_twins(whole: pd.DataFrame, delay: float) -> None:
    """Run one pack in two processes, `delay` seconds apart; every row must be there once, bit for bit, and nothing else."""
    first = start_twin()
    time.sleep(delay)
    second = start_twin()
    said = [process.communicate()[1] for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], said
    stored = pd.concat([pd.read_parquet(path, partitioning=None) for path in Path("twins/curves").rglob("*.parquet")])
    assert not stored.duplicated(["trial_id", "step"]).any()
    pd.testing.assert_frame_equal(curves("twins"), whole, check_exact=True)
    assert Store("twins").finished_packs() == {0}
    assert sorted(path.name for path in Path("twins").iterdir() if any(path.glob("*")) or path.name.startswith(".")) == [
        "curves",
        "trials",
    ]


@pytest.fixture
def whole(workplace, request):
    """The curves of a sweep of one pack, of the kind that the test asks for, left in ./whole."""
    kind = request.param
    (workplace / f"{kind}.yaml").write_text(SWEEPS[kind])
    command("sweep", f"{kind}.yaml", "out=whole", "pack.cpu_devices=1", cwd=workplace)
    return curves("whole")


@pytest.mark.slow
@pytest.mark.parametrize("whole", SWEEPS, indirect=True)
def test_twins_that_run_one_pack_store_every_row_once(whole):
    moments = random.Random(1)
    for _ in range(20):
        planned_only(Path("whole"), Path("twins"))
        check_twins(whole, moments.uniform(0, 3))


def children(pid: int) -> set[int]:
    """Return the processes that have another one as their parent."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        if int(fields[1]) == pid:
            found.add(int(path.parent.name))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("whole", ["trained"], indirect=True)
def test_workers_whose_command_is_killed_commit_and_end_and_the_same_command_goes_on(whole):
    shared = ("sweep", "trained.yaml", "out=twins", "pack.cpu_devices=1", "pack.max_trials=2", "pack.checkpoint_seconds=0.05")
    command(*shared, cwd=Path.cwd())
    alone = curves("twins")
    for _ in range(5):
        shutil.rmtree("twins")
        words = [sys.executable, "-m", "ddlab.cli", *shared, "hydra/launcher=joblib"]
        parent = subprocess.Popen(words, stderr=subprocess.DEVNULL)
        while not list(Path("twins").glob("checkpoints/*/*/about.json")):
            assert parent.poll() is None
            time.sleep(0.02)
        workers = children(parent.pid)
        assert workers
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        for _ in range(3):  # a pack may still be left to a worker that commits
            if command(*shared, cwd=Path.cwd(), check=False).returncode == 0:
                break
        pd.testing.assert_frame_equal(curves("twins"), alone, check_exact=True)
        stored = pd.concat([pd.read_parquet(path, partitioning=None) for path in Path("twins/curves").rglob("*.parquet")])
        assert not stored.duplicated(["trial_id", "step"]).any()
        assert not list(Path("twins").glob(".[!s]*")) + list(Path("twins").glob("*/*/.*"))
        deadline = time.monotonic() + 60
        while any(Path(f"/proc/{worker}").exists() for worker in workers):
            assert time.monotonic() < deadline
            time.sleep(0.2)
