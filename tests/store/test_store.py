"""Atomic files, reading what is there, damage, versions."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml

import ddlab
from ddlab.cli import main
from ddlab.errors import StoreError
from ddlab.files import DamagedPart, write_atomically
from ddlab.store.lease import claim
from ddlab.store.provenance import add_provenance
from ddlab.store.results import load
from ddlab.store.store import Store
from ddlab.store.sweep_file import SEAL


@pytest.fixture
def store(tmp_path):
    """A store of two packs with two trials each; the second pack is unfinished."""
    store = Store(tmp_path / "s")
    store.write_sweep({"name": "s", "title": "", "paper": "", "shows": "", "parts": [], "figures": {}, "claims": {}})
    config = json.dumps({"model.width": 8, "train.batch_size": None})
    row = {
        "config": config,
        "choices": json.dumps({"data": "mnist1d"}),
        "num_params": 500,
        "num_train": 250,
        "num_outputs": 10,
        "flops": 1.0,
        "estimated_seconds": 1.0,
        "level": 0,
        "parents": "[]",
        "room": 2,
    }
    store.write_plan(pd.DataFrame([{"trial_id": f"t{k}", "weights_id": f"w{k}", "pack": k // 2, **row} for k in range(4)]))
    for pack in (0, 1):
        for part in (0, 1):
            columns = {"trial_id": [f"t{2 * pack}", f"t{2 * pack + 1}"], "step": np.full(2, part), "train_loss": np.ones(2)}
            store.write_part(pack, part, columns)
    outcome = {"trial_id": ["t0", "t1"], "status": ["completed", "diverged"], "last_step": [1, 1], "num_rows": [2, 2]}
    store.write_outcome(0, {**outcome, "seconds": [1.0, 1.0]}, {"num_parts": 2})
    return store


def test_load_gives_trials_and_curves(store):
    results = ddlab.load(store.root)
    assert results.trials["status"].tolist() == ["completed", "diverged", "pending", "pending"]
    assert results.trials["params_per_sample"].tolist() == [2.0] * 4
    assert results.trials["data"].tolist() == ["mnist1d"] * 4
    assert results.trials["model.width"].tolist() == [8] * 4
    assert len(results.curves) == 8
    assert not results.curves.duplicated(["trial_id", "step"]).any()


def test_a_column_that_only_later_parts_have_is_read(store):
    store.write_part(1, 2, {"trial_id": ["t2"], "step": [2], "train_loss": [1.0], "extra": [5.0]})
    assert ddlab.load(store.root).curves["extra"].notna().sum() == 1


def test_short_vectors_are_stored_as_lists(store):
    store.write_part(1, 2, {"trial_id": ["t2", "t3"], "step": [2, 2], "spectrum": np.arange(6, dtype="float32").reshape(2, 3)})
    stored = ddlab.load(store.root).curves["spectrum"].dropna().tolist()
    assert [list(vector) for vector in stored] == [[0, 1, 2], [3, 4, 5]]


def test_a_damaged_part_is_reported_and_the_rest_loads(store):
    store.part_file(0, 1).write_bytes(b"PAR1 cut off")
    with pytest.warns(DamagedPart, match=r"part-00001\.parquet: damaged"):
        results = ddlab.load(store.root)
    assert len(results.curves) == 6
    assert store.part_file(0, 1).read_bytes() == b"PAR1 cut off"


def test_a_damaged_outcome_counts_as_unfinished(store):
    store.trials_file(0).write_bytes(b"")
    with pytest.warns(DamagedPart):
        assert store.finished_packs() == set()


@pytest.mark.parametrize(("version", "words"), [(99, "a newer ddlab"), (2, "an older ddlab")])
def test_a_store_of_another_schema_is_refused(store, version, words):
    sweep = yaml.safe_load(store.sweep_file.read_text())
    store.sweep_file.write_text(yaml.safe_dump({**sweep, "schema_version": version}))
    with pytest.raises(StoreError, match=words):
        ddlab.load(store.root)


@pytest.mark.parametrize("text", ["", "[1, 2]", "schema_version: many", "schema_version: .inf", "{"])
def test_a_damaged_sweep_file_is_named(store, text):
    store.sweep_file.write_text(text)
    with pytest.raises(StoreError, match=r"sweep\.yaml: damaged"):
        ddlab.load(store.root)


def test_packs_that_disagree_about_a_column_are_one_error(store):
    store.write_part(1, 2, {"trial_id": ["t2"], "step": [2], "train_loss": np.ones((1, 3))})
    with pytest.raises(StoreError, match="curves: packs disagree about the type of a column"):
        ddlab.load(store.root)


def test_what_a_killed_process_left_is_removed_and_nothing_that_others_write(store):
    own, other, foreign = (
        store.trials_file(0).parent / name
        for name in (".pack=00000.parquet.0a1b2c3d", ".pack=00001.parquet.0a1b2c3d", ".env.template")
    )
    for path in (own, other, foreign):
        path.write_text("")
    store.clear_pack(0)
    assert [path.exists() for path in (own, other, foreign)] == [False, True, True]


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "f"
    write_atomically(path, b"old")
    with pytest.raises(TypeError):
        write_atomically(path, "not bytes")
    assert path.read_bytes() == b"old"


def test_a_pack_that_lost_a_part_of_its_curves_is_not_finished(store):
    assert store.finished_packs() == {0}
    store.part_file(0, 1).unlink()
    with pytest.warns(DamagedPart):
        assert store.finished_packs() == set()


def test_a_missing_plan_is_refused(store):
    store.plan_file.unlink()
    with pytest.raises(StoreError, match=r"plan\.parquet: missing"):
        load(store.root)


def test_a_plan_without_trials_is_damaged(store):
    store.write_plan(store.read_plan().iloc[:0])
    with pytest.raises(StoreError, match=r"plan\.parquet: damaged \(no trials in it\)"):
        load(store.root)


def test_two_commands_may_not_write_at_once(store):
    with claim(store), pytest.raises(StoreError, match="is running this sweep"), claim(Store(store.root)):
        pass
    with claim(store):
        pass


CLAIM = """
import sys, time
from ddlab.store.lease import claim
from ddlab.store.store import Store
with claim(Store(sys.argv[1])):
    print("claimed", flush=True)
    time.sleep(60)
"""


def test_the_claim_of_a_killed_process_ends_with_it(store):
    process = subprocess.Popen([sys.executable, "-c", CLAIM, str(store.root)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "claimed\n"
    with pytest.raises(StoreError, match="is running this sweep"), claim(store):
        pass
    process.kill()
    process.communicate()
    with claim(store):
        pass


def test_a_directory_with_other_files_is_not_written_to_but_the_rest_of_a_killed_command_is(tmp_path):
    (tmp_path / ".plan.parquet.0a1b2c3d").write_text("")
    with claim(Store(tmp_path)):
        pass
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(StoreError, match="no stored sweep"), claim(Store(tmp_path)):
        pass


@pytest.mark.parametrize("content", ["{", '[{"command": "x"}]', "[1, {}]", '{"a": 1}', "[" * 100_000])
def test_a_damaged_provenance_is_put_aside_by_the_next_command_and_by_no_reader(store, content):
    store.provenance_file.write_text(content)
    with pytest.warns(DamagedPart):
        assert store.read_provenance() == []
    assert store.provenance_file.read_text() == content
    with pytest.warns(DamagedPart, match="kept as provenance.damaged"):
        add_provenance(store.provenance_file, {"command": "x"})
    assert store.read_provenance() == [{"command": "x"}]
    assert store.provenance_file.with_suffix(".damaged").read_text() == content


def test_a_changed_entry_of_the_provenance_is_left_out(store):
    for command in ("one", "two"):
        add_provenance(store.provenance_file, {"command": command})
    store.provenance_file.write_text(store.provenance_file.read_text().replace("one", "ona"))
    with pytest.warns(DamagedPart, match="its checksum differs"):
        assert store.read_provenance() == [{"command": "two"}]


def test_floats_are_stored_bit_for_bit(store):
    values = np.random.default_rng(0).normal(size=100).astype(np.float32)
    store.write_part(0, 7, {"trial_id": ["t0"] * 100, "step": np.arange(100), "train_loss": values})
    back = pd.read_parquet(store.part_file(0, 7), partitioning=None)  # by a reader that knows nothing of checksums
    for stored in (back, store.read_part(0, 7)):
        np.testing.assert_array_equal(stored["train_loss"].to_numpy(), values)
        assert stored["train_loss"].dtype == np.float32


def test_a_sweep_into_a_store_of_another_schema_says_so_first(workplace, capsys):
    (workplace / "old").mkdir()
    text = "schema_version: 2\nname: old\n"
    (workplace / "old" / "sweep.yaml").write_text(f"{text}{SEAL}{hashlib.sha256(text.encode()).hexdigest()}\n")
    (workplace / "old" / ".running").touch()
    assert main(["sweep", "quickstart", "out=old", "seed=0", "model.width=4"]) == 2
    assert "written by an older ddlab (store schema 2" in capsys.readouterr().err
