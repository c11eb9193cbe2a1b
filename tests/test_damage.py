"""Damaged results directories: no changed bit is read as a number, and the same command repairs what can be made again."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ddlab
import ddlab.training.run
from ddlab.cli import main
from ddlab.files import DamagedPart
from ddlab.job.timing import Timing
from ddlab.store.sealed import Damaged, read_table, write_table
from ddlab.store.store import Store
from ddlab.training.checkpoints import Checkpoint, Checkpoints
from ddlab.training.program import State, TrialState

SWEEP = """\
defaults: [ddlab, _self_]
axes: {model.width: "3,5", seed: range(2)}
data: {num_train: 200, num_test: 100, label_noise: 0.2}
train: {steps: 60, batch_size: 20, num_evals: 8, eval_spacing: linear}
pack: {max_trials: 2, checkpoint_seconds: 0}
figures: {curve: {recipe: double_descent, x: model.width}}
claims: {error: {kind: value, metric: test_error, between: [0, 1], source: none}}
"""

WORDS = ["sweep", "s.yaml", "out=r"]


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def damages(content: bytes) -> dict[str, bytes | None]:
    """Return what may become of a file's content; None: the file is gone."""
    bit = 8 * (len(content) // 3) + 2
    return {"deleted": None, "emptied": b"", "truncated": content[: len(content) // 2], "flipped": flipped(content, bit)}


def curves(directory: str | Path) -> pd.DataFrame:
    return ddlab.load(directory).curves.sort_values(["trial_id", "step"], ignore_index=True)


def test_six_hundred_flipped_bits_in_a_table_are_all_noticed(tmp_path):
    random_numbers = np.random.default_rng(0)
    path = tmp_path / "t.parquet"
    table = pa.table({"trial_id": ["a", "b"] * 300, "step": np.arange(600), "loss": random_numbers.normal(size=600).astype("f4")})
    write_table(path, table)
    content = path.read_bytes()
    assert read_table(path).equals(table)
    assert pq.read_table(path, page_checksum_verification=True).equals(table)  # other readers can read it, too
    for bit in random.Random(0).sample(range(8 * len(content)), 600):
        path.write_bytes(flipped(content, bit))
        with pytest.raises(Damaged):
            read_table(path)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"x" * 300, b"PAR1" + bytes(8) + b"PAR1", b"PAR1" + b"\xff" * 60 + b"PAR1"])
def test_a_file_that_is_no_sealed_table_is_damaged(tmp_path, content):
    (tmp_path / "t.parquet").write_bytes(content)
    with pytest.raises(Damaged, match="no checksum in it"):
        read_table(tmp_path / "t.parquet")


TRIAL = TrialState({"w": np.linspace(0, 1, 500, dtype=np.float32)}, {}, (np.zeros((0, 2)), np.arange(9.0).reshape(3, 3)))
STATE = State(np.array(7, np.int32), TRIAL)


def test_a_checkpoint_comes_back_bit_for_bit_and_of_no_other_trials(tmp_path):
    Checkpoints(tmp_path, ["a", "b"]).save(Checkpoint(STATE, 3, 2, Timing(run=1.5)))
    found = Checkpoints(tmp_path, ["a", "b"]).restore(STATE)
    assert found is not None
    assert (found.num_evals, found.num_parts, found.timing.run) == (3, 2, 1.5)
    np.testing.assert_array_equal(found.state.trial.params["w"], TRIAL.params["w"])
    np.testing.assert_array_equal(found.state.trial.optimizer[1], TRIAL.optimizer[1])
    with pytest.warns(DamagedPart, match="of other trials"):
        assert Checkpoints(tmp_path, ["b", "a"]).restore(STATE) is None
    other = STATE._replace(trial=TRIAL._replace(params={"v": TRIAL.params["w"]}))
    with pytest.warns(DamagedPart, match="of another program"):
        assert Checkpoints(tmp_path, ["a", "b"]).restore(other) is None


def test_no_flipped_bit_of_a_checkpoint_is_unnoticed(tmp_path):
    """A hundred and fifty anywhere, and every bit of the archive that is none of the arrays' numbers."""
    checkpoints = Checkpoints(tmp_path, ["a"])
    checkpoints.save(Checkpoint(STATE, 3, 2, Timing()))
    files = [tmp_path / "eval=00003" / name for name in ("state.npz", "about.json")]
    contents = [path.read_bytes() for path in files]
    moments = random.Random(1)
    places = [(k, moments.randrange(8 * len(contents[k]))) for k in (0, 1) for _ in range(75)]
    start = contents[0].index(TRIAL.params["w"].tobytes())
    numbers = range(start, start + TRIAL.params["w"].nbytes)
    places += [(0, 8 * byte + moments.randrange(8)) for byte in range(len(contents[0])) if byte not in numbers]
    for chosen, bit in places:
        files[chosen].write_bytes(flipped(contents[chosen], bit))
        with pytest.warns(DamagedPart, match="damaged, not used"):
            assert checkpoints.restore(STATE) is None
        files[chosen].write_bytes(contents[chosen])
    assert checkpoints.restore(STATE) is not None


@pytest.fixture(scope="module")
def stopped_once(tmp_path_factory):
    """The directory of `stopped`, and its curves when it has gone on."""
    directory = tmp_path_factory.mktemp("stopped")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(directory)
        return directory, stop(patched)


def stop(monkeypatch):
    Path("s.yaml").write_text(SWEEP)
    assert main([*WORDS[:2], "out=whole"]) == 0
    record = ddlab.training.run.TrainingRun._record
    count = [0]

    def interrupted(self, point):
        record(self, point)
        count[0] += 1
        if count[0] == 12:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(ddlab.training.run.TrainingRun, "_record", interrupted)
    assert main(WORDS) == 130
    return curves("whole")


@pytest.fixture
def stopped(stopped_once, workplace):
    """A sweep whose first pack is finished, and whose second has a checkpoint and curves; and its curves when it has gone on."""
    directory, whole = stopped_once
    shutil.copy(directory / "s.yaml", workplace)
    for copy in ("r", "stopped"):
        shutil.copytree(directory / "r", workplace / copy)
    return whole


KINDS: dict[str, Callable[[Store], Path]] = {
    "sweep.yaml": lambda store: store.sweep_file,
    "plan": lambda store: store.plan_file,
    "provenance": lambda store: store.provenance_file,
    "outcome": lambda store: store.trials_file(0),
    "part of a finished pack": lambda store: store.part_file(0, 0),
    "part of an unfinished pack": lambda store: store.part_file(1, 0),
    "state of a checkpoint": lambda store: next(store.checkpoint_directory(1).glob("*/state.npz")),
    "about a checkpoint": lambda store: next(store.checkpoint_directory(1).glob("*/about.json")),
}


# Kind of a damaged file -> exit statuses of the commands that read; where it is not here, they do without it. The outcome is that
# of the only finished pack: without it no trial is left to report.
READ = ("status", "verify", "report")
EXPECTED = {"sweep.yaml": (2, 2, 2), "plan": (2, 2, 2), "outcome": (0, 0, 2)}


def check_repaired(whole: pd.DataFrame, capsys, kind: str, damage: str) -> None:
    """Damage one file, look at it with every command that reads, and let the sweep go on: it must end as if nothing had been."""
    shutil.rmtree("r")
    shutil.copytree("stopped", "r")
    store = Store("r")
    path = KINDS[kind](store)
    content = damages(path.read_bytes())[damage]
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    capsys.readouterr()
    statuses = {command: main([command, "r"]) for command in READ}
    assert statuses == dict(zip(READ, EXPECTED.get(kind, (0, 0, 0)), strict=True)), (kind, damage)
    assert main(WORDS) == 0, (kind, damage)
    said = capsys.readouterr().err
    assert "Traceback" not in said
    quiet = kind == "provenance" or (damage == "deleted" and kind in ("sweep.yaml", "outcome", "about a checkpoint"))
    assert quiet or "damaged" in said or (damage == "deleted" and "missing" in said), (kind, damage, said)
    pd.testing.assert_frame_equal(curves("r"), whole, check_exact=True)
    assert set(ddlab.load("r").trials["status"]) == {"completed"}
    assert not list(store.root.glob("checkpoints/*/*"))


@pytest.mark.filterwarnings("default::ddlab.files.DamagedPart")
@pytest.mark.parametrize(
    ("kind", "damage"), [("plan", "flipped"), ("sweep.yaml", "emptied"), ("state of a checkpoint", "flipped")]
)
def test_the_same_command_repairs_a_damaged_file(stopped, capsys, kind, damage):
    check_repaired(stopped, capsys, kind, damage)


@pytest.mark.filterwarnings("default::ddlab.files.DamagedPart")
def test_a_lost_plan_is_made_again_by_no_command_that_knows_less(stopped, capsys):
    """Pack 0 is finished: a command that plans some of its trials only must not remove the others."""
    store = Store("r")
    store.plan_file.unlink()
    before = store.part_file(0, 0).read_bytes()
    assert main([*WORDS, "seed=0"]) == 2
    assert "pack 0 has trials of another command, too; run that first: ddlab sweep s.yaml out=r" in capsys.readouterr().err
    assert store.part_file(0, 0).read_bytes() == before
    assert main(WORDS) == 0
    pd.testing.assert_frame_equal(curves("r"), stopped, check_exact=True)


@pytest.mark.filterwarnings("default::ddlab.files.DamagedPart")
def test_a_lost_sweep_file_does_not_let_another_base_in(stopped, capsys):
    Store("r").sweep_file.unlink()
    assert main([*WORDS, "train.steps=9"]) == 2
    assert "there are trials of another command; run that first (ddlab sweep s.yaml out=r)" in capsys.readouterr().err
    assert main(WORDS) == 0
    pd.testing.assert_frame_equal(curves("r"), stopped, check_exact=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("default::ddlab.files.DamagedPart")
def test_the_same_command_repairs_every_kind_of_file_whatever_became_of_it(stopped, capsys):
    for kind in KINDS:
        for damage in damages(b"0" * 99):
            check_repaired(stopped, capsys, kind, damage)
