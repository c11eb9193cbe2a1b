"""The measured speed of a machine: plausible, kept, used again."""

from __future__ import annotations

import pytest

from ddlab import machine as module
from ddlab.machine import machine_file, measure, store_machine, this_machine
from ddlab.pack import Machine
from tests.support import MACHINE

GOOD = '{"compile_seconds": 1.5, "tile_seconds": 0, "curve": [[1, 1], [3, 1]], "num_devices": 2, "working_bytes": 9}'
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


def test_what_is_measured_is_plausible(empty_cache, tmp_path):
    measured = measure()
    assert not (tmp_path / "compiled").exists()
    assert isinstance(measured, Machine)
    assert 0.05 < measured.compile_seconds < 60
    assert 0 <= measured.tile_seconds < 1e-2
    operations, seconds = zip(*measured.curve, strict=True)
    assert sorted(operations) == list(operations)
    assert operations[-1] / seconds[-1] > operations[0] / seconds[0]  # wide networks run at a higher rate
    assert all(1e6 < rate < 1e15 for rate in map(lambda o, s: o / s, operations, seconds))
