"""The measured speed of a machine: plausible, kept, used again."""

from __future__ import annotations

import pytest

import ddlab
from ddlab.cli import main
from ddlab.run import speed as machine
from ddlab.run import speed as module
from ddlab.run.speed import BATCH_SIZE, machine_file, measure, store_machine, this_machine
from tests.support import MACHINE, SMALL_MNIST

pytestmark = pytest.mark.usefixtures("fast_packs")

GOOD = (
    '{"compile_seconds": 1.5, "operation_seconds": 0, "tile_seconds": 0, "curve": [[1, 1], [3, 1]], "num_devices": 2,'
    ' "working_bytes": 9, "cores": 1}'
)
NO_CURVE = GOOD.replace("[[1, 1], [3, 1]]", "[]")


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DDLAB_CACHE", str(tmp_path))


def test_a_machine_is_measured_once(empty_cache, monkeypatch, capsys):
    monkeypatch.setattr(module, "measure", lambda: MACHINE)
    assert this_machine() == MACHINE
    assert "measuring" in capsys.readouterr().err
    monkeypatch.setattr(module, "measure", lambda: pytest.fail("measured again"))
    assert this_machine() == MACHINE
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "content", ["", "{}", "[1]", '{"curve": 3}', GOOD.replace("2", "-2"), GOOD.replace("1.5", '"a"'), NO_CURVE]
)
def test_a_damaged_file_is_measured_anew(empty_cache, monkeypatch, content):
    store_machine(MACHINE)
    machine_file(2).write_text(content)
    monkeypatch.setattr(module, "measure", lambda: MACHINE)
    assert this_machine() == MACHINE


def test_a_whole_file_is_used(empty_cache, monkeypatch):
    store_machine(MACHINE)
    machine_file(2).write_text(GOOD)
    monkeypatch.setattr(module, "measure", lambda: pytest.fail("measured again"))
    assert this_machine().curve == ((1, 1), (3, 1))


@pytest.mark.usefixtures("fast_packs")
def test_what_is_measured_is_plausible(empty_cache, tmp_path, monkeypatch):
    """How fast is not asserted: what is measured must be of the operations that it says, and be taken from its file again."""
    for name, value in {"WIDTHS": (8, 32), "REPEATS": 1, "LEAST_SECONDS": 0.01}.items():
        monkeypatch.setattr(module, name, value)
    measured = measure()
    assert not (tmp_path / "compiled").exists()
    assert [operations for operations, _ in measured.curve] == [6 * BATCH_SIZE * (40 + 10) * width for width in (8, 32)]
    assert measured.num_devices == 2
    store_machine(measured)
    monkeypatch.setattr(module, "measure", lambda: pytest.fail("not plausible"))
    assert this_machine() == measured


def test_a_sweep_runs_without_a_cache_directory_and_says_nothing_of_it(workplace, monkeypatch, capsys):
    (workplace / "file").touch()
    (workplace / "s.yaml").write_text("defaults: [ddlab, _self_]\n")
    monkeypatch.setenv("DDLAB_CACHE", str(workplace / "file" / "cache"))
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    monkeypatch.setattr(machine, "measure", lambda: MACHINE)
    assert main(["sweep", "s.yaml", *SMALL_MNIST, "train.steps=5", "out=here"]) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("pack 1/1")]
    assert said == ["measuring the speed of this machine, once (about 20 s) ..."]
    assert set(ddlab.load("here").trials["status"]) == {"completed"}
