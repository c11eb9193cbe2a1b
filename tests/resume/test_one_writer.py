"""One writer a pack: others leave it alone, and rows are counted."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest

import ddlab
import ddlab.commands.sweep
from ddlab.cli import main
from ddlab.errors import Interrupted, StoreError
from ddlab.job.recorder import Ended, Recorder
from ddlab.job.timing import Timing
from ddlab.run.pack import run_pack
from ddlab.store.lease import Lease
from ddlab.store.store import DamagedPart, Store
from tests import support
from tests.support import curves

pytestmark = pytest.mark.usefixtures("fast_packs")

TRAINED = """\
defaults: [ddlab, _self_]
axes: {model.width: "3,5", seed: range(3)}
data: {num_train: 200, num_test: 100, label_noise: 0.2}
train: {steps: 20, batch_size: 20, num_evals: 4, eval_spacing: linear}
measures: {gradient_norm: null}
"""

SETTINGS = replace(support.SETTINGS, index=0, cpu_devices=1, checkpoint_seconds=0.05, compile_cache_mib=512)


WORDS = ["sweep", "trained.yaml", "out=twins"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A directory with a sweep and its results."""
    directory = tmp_path_factory.mktemp("trained")
    (directory / "trained.yaml").write_text(TRAINED)
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(directory)
        assert main(WORDS) == 0
    return directory


@pytest.fixture
def tiny(trained, workplace):
    """The stored results of a sweep, in a directory of the test's own."""
    shutil.copytree(trained, workplace, dirs_exist_ok=True)
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
        assert main(WORDS) == 2
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
    assert main(WORDS) == 0
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


def test_what_goes_on_after_an_interruption_is_named(tiny, capsys, monkeypatch):
    def stop(*_):
        (tiny.root / ".submitit" / "123_0").mkdir(parents=True)
        raise Interrupted("SIGINT")

    tiny.clear_pack(0)
    monkeypatch.setattr(ddlab.commands.sweep, "run_packs", stop)
    with Lease(tiny.pack_lease_file(0)):
        assert main(WORDS) == 130
    said = capsys.readouterr().err
    assert "1 submitted jobs go on by themselves; to end them: scancel 123" in said
    assert f"pack 0 goes on: process {os.getpid()} on this machine" in said
