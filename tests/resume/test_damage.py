"""Damaged results directories: the same command repairs what can be made again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import ddlab
from ddlab.cli import main
from ddlab.store.store import Store
from tests.support import command, curves, flipped, interrupt_after

pytestmark = pytest.mark.usefixtures("fast_packs")

SWEEP = """\
defaults: [ddlab, _self_]
axes: {model.width: "3,5", seed: range(2)}
data: {num_train: 200, num_test: 100, label_noise: 0.2}
train: {steps: 60, batch_size: 20, num_evals: 8, eval_spacing: linear}
measures: {gradient_norm: null}
pack: {max_trials: 2, checkpoint_seconds: 0}
figures: {curve: {recipe: double_descent, x: model.width}}
claims: {error: {kind: value, metric: test_error, between: [0, 1], source: none}}
"""

WORDS = ["sweep", "s.yaml", "out=r"]


def damages(content: bytes) -> dict[str, bytes | None]:
    """Return what may become of a file's content; None: the file is gone."""
    bit = 8 * (len(content) // 3) + 2
    return {"deleted": None, "emptied": b"", "truncated": content[: len(content) // 2], "flipped": flipped(content, bit)}


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
    interrupt_after(monkeypatch, 12)
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
    "state of a checkpoint": lambda store: next(store.checkpoint_directory(1).glob("*/arrays.npz")),
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
    statuses = {word: main([word, "r"]) for word in READ}
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
    ("kind", "damage"),
    [
        ("plan", "flipped"),
        ("sweep.yaml", "emptied"),
        ("state of a checkpoint", "flipped"),
        ("about a checkpoint", "truncated"),
    ],
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


def test_a_damaged_part_is_reported_in_one_line_and_the_rest_is_drawn(tiny):
    main(["sweep", tiny, "pack.max_trials=3"])
    part = Store("results/tiny").part_file(1, 0)
    part.write_bytes(b"damaged")
    done = command("report", tiny, cwd=Path.cwd())
    assert done.stderr.count("\n") == 1
    assert "part-00000.parquet: damaged, left out" in done.stderr
    assert Path("results/tiny/report/curve.png").exists()
    assert part.read_bytes() == b"damaged"
