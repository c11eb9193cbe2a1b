"""The local devices: CPU cores, on systems that say less about them than Linux does."""

from __future__ import annotations

import os

import pytest

from ddlab.cli import main
from ddlab.devices.local import num_cores

pytestmark = pytest.mark.usefixtures("fast_packs")


@pytest.fixture
def other_system(monkeypatch):
    """As on macOS before Python 3.13: no system call says which cores a process may use."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.delattr(os, "process_cpu_count", raising=False)


def test_where_a_process_has_no_cores_of_its_own_it_may_use_all(other_system, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert num_cores() == 5
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert num_cores() == 1


def test_python_says_how_many_cores_a_process_may_use(other_system, monkeypatch):
    monkeypatch.setattr(os, "process_cpu_count", lambda: 3, raising=False)
    assert num_cores() == 3


def test_a_sweep_is_planned_and_run_on_other_systems(other_system, workplace):
    words = ["mei2022_random_features", "data.num_train=8", "data.num_features=4", "data.num_test=9", "model.width=5", "seed=0"]
    assert main(["plan", *words]) == 0
    assert main(["sweep", *words]) == 0
