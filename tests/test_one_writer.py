"""One writer a pack: twins, workers whose command is gone, leases, rows that are counted."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ddlab
import ddlab.commands.sweep
import ddlab.store.lease
from ddlab.cli import main
from ddlab.errors import Interrupted, StoreError
from ddlab.job.recorder import Ended, Recorder
from ddlab.job.timing import Timing
from ddlab.run.pack import run_pack
from ddlab.store.lease import Held, Lease
from ddlab.store.store import DamagedPart, Store
from tests import support
from tests.support import ddlab as command

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


def curves(directory: str | Path) -> pd.DataFrame:
    return ddlab.load(directory).curves.sort_values(["trial_id", "step"], ignore_index=True)


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


@pytest.fixture
def tiny(workplace):
    (workplace / "trained.yaml").write_text(TRAINED)
    assert main(["sweep", "trained.yaml", "train.steps=20", "train.num_evals=4", "out=twins"]) == 0
    return Store("twins")


def test_a_pack_at_which_another_process_is_at_work_is_left_to_it(tiny, capsys):
    tiny.clear_pack(0)
    with Lease(tiny.pack_lease_file(0)):
        run_pack(tiny.root, 0, SETTINGS)
    assert f"pack 0 is left to process {os.getpid()} on this machine" in capsys.readouterr().err
    assert not tiny.trials_file(0).exists()
    assert not tiny.part_file(0, 0).exists()


def test_a_sweep_whose_packs_others_run_says_so_and_is_not_done(tiny, capsys):
    tiny.clear_pack(0)
    with Lease(tiny.pack_lease_file(0)):
        assert main(["sweep", "trained.yaml", "train.steps=20", "train.num_evals=4", "out=twins"]) == 2
    assert f"not all is done: pack 0 to process {os.getpid()} on this machine" in capsys.readouterr().err


def test_a_finished_pack_is_left_as_it_is(tiny):
    before = {path: path.stat().st_mtime_ns for path in tiny.root.rglob("*.parquet")}
    run_pack(tiny.root, 0, SETTINGS)
    assert {path: path.stat().st_mtime_ns for path in tiny.root.rglob("*.parquet")} == before


def test_a_part_belongs_to_its_writer(tiny):
    before = tiny.part_file(0, 0).read_bytes()
    with pytest.raises(StoreError, match=r"part-00000\.parquet: is there already"):
        tiny.write_part(0, 0, {"trial_id": ["x"], "step": [0]})
    assert tiny.part_file(0, 0).read_bytes() == before


@pytest.mark.filterwarnings("default::ddlab.files.DamagedPart")
def test_a_finished_pack_that_lacks_rows_is_not_finished_and_trained_again(tiny, capsys):
    whole = curves("twins")
    rows = tiny.read_part(0, 0)
    tiny.part_file(0, 0).unlink()
    tiny.write_part(0, 0, {name: rows[name].to_numpy()[:-1] for name in rows})
    with pytest.warns(DamagedPart, match="rows are missing"):
        assert tiny.finished_packs() == set()
    with pytest.warns(DamagedPart, match="rows of 1 trials are missing"):
        ddlab.load("twins")
    assert main(["sweep", "trained.yaml", "train.steps=20", "train.num_evals=4", "out=twins"]) == 0
    pd.testing.assert_frame_equal(curves("twins"), whole, check_exact=True)


def test_a_writer_whose_pack_was_taken_over_stores_nothing_more(tiny):
    tiny.clear_pack(0)
    lease = Lease(tiny.pack_lease_file(0))
    with lease:
        recorder = Recorder(tiny, 0, lease, SETTINGS)
        nobody = Ended(np.array([]), np.array([]), np.array([]), [])
        tiny.pack_lease_file(0).unlink()
        with Lease(tiny.pack_lease_file(0)):
            recorder.rows.columns = {"trial_id": [], "step": []}
            finish = partial(recorder.finish, nobody, np.array([0]), Timing(), {})
            for write in (recorder.write_part, partial(recorder.go_on, 0), finish):
                with pytest.raises(StoreError, match="taken over by process"):
                    write()
    assert not tiny.part_file(0, 0).exists()


def test_a_directory_that_vanishes_is_not_made_again(tiny):
    lease = Lease(tiny.pack_lease_file(0))
    with lease:
        shutil.rmtree(tiny.root)
        with pytest.raises(StoreError, match="twins was removed meanwhile"):
            Recorder(tiny, 0, lease, SETTINGS).write_part()
    assert not tiny.root.exists()
    with pytest.raises(StoreError, match="no stored sweep here"):
        run_pack("twins", 0, SETTINGS)


@pytest.fixture
def without_exchange(monkeypatch):
    """A file system that cannot exchange two files, as NFS and SMB cannot."""
    monkeypatch.setattr("filelock._soft.exchange_names", lambda *_: False)


def test_a_lease_of_a_dead_process_is_taken_where_files_cannot_be_exchanged(workplace, without_exchange):
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    path = workplace / ".pack=00000"
    with Lease(path):
        own = path.read_text()
    lines = [f"pid={process.pid}" if line.startswith("pid=") else line for line in own.splitlines()]
    path.write_text("\n".join(lines) + "\n")
    with Lease(path) as lease:
        lease.check()
    assert not list(workplace.iterdir())


def test_a_lease_that_another_process_took_meanwhile_is_put_back(workplace):
    with Lease(workplace / ".pack=00000") as lease:
        Lease(workplace / ".pack=00000")._remove_that_of("another token")
        lease.check()


FOREIGN = "filelock/2\npid=77\nhost=elsewhere\nmode=lease\ntoken=abc\nduration=90.0\n"


@pytest.mark.parametrize("exchange", [True, False])
def test_a_lease_of_another_machine_is_waited_for_and_taken_when_nobody_touches_it(workplace, monkeypatch, capsys, exchange):
    if not exchange:
        monkeypatch.setattr("filelock._soft.exchange_names", lambda *_: False)
    monkeypatch.setattr(ddlab.store.lease, "SECONDS", 2.0)
    monkeypatch.setattr(ddlab.store.lease, "PATIENCE", 0.3)
    path = workplace / ".pack=00000"
    path.write_text(FOREIGN.replace("90.0", "2.0"))
    (workplace / ".pack=00000.job").write_text("123_4")
    with Lease(path) as lease:
        lease.check()
    assert "waiting for process 77 on elsewhere, batch job 123_4, which may be gone" in capsys.readouterr().err
    assert not list(workplace.iterdir())


def test_waiting_for_a_lease_of_another_machine_ends_with_a_signal(workplace):
    (workplace / ".pack=00000").write_text(FOREIGN)
    with pytest.raises(Held, match="process 77 on elsewhere"):
        Lease(workplace / ".pack=00000", cancelled=lambda: True).__enter__()


def test_a_lease_that_cannot_be_read_for_a_moment_is_kept(workplace):
    path = workplace / ".pack=00000"
    with Lease(path) as lease:
        path.rename(workplace / "away")
        threading.Timer(0.3, (workplace / "away").rename, [path]).start()
        lease.check()


def test_what_goes_on_after_an_interruption_is_named(tiny, capsys, monkeypatch):
    def stop(*_):
        (tiny.root / ".submitit" / "123_0").mkdir(parents=True)
        raise Interrupted("SIGINT")

    tiny.clear_pack(0)
    monkeypatch.setattr(ddlab.commands.sweep, "run_packs", stop)
    with Lease(tiny.pack_lease_file(0)):
        assert main(["sweep", "trained.yaml", "train.steps=20", "train.num_evals=4", "out=twins"]) == 130
    said = capsys.readouterr().err
    assert "1 submitted jobs go on by themselves; to end them: scancel 123" in said
    assert f"pack 0 goes on: process {os.getpid()} on this machine" in said


def test_a_lease_names_its_batch_job_and_its_holder_says_so(workplace, monkeypatch):
    monkeypatch.setattr(ddlab.store.lease, "PATIENCE", 0.2)
    monkeypatch.setenv("SLURM_JOB_ID", "42")
    with Lease(workplace / ".pack=00000"), pytest.raises(Held, match=rf"process {os.getpid()} on this machine, batch job 42"):
        Lease(workplace / ".pack=00000").__enter__()
    assert not list(workplace.iterdir())


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
