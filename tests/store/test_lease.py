"""Leases: whose they are, and when they are taken from one that is gone."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import ddlab.store.lease
from ddlab.store.lease import Held, Lease

FOREIGN = "filelock/2\npid=77\nhost=elsewhere\nmode=lease\ntoken=abc\nduration=90.0\n"


@pytest.fixture
def without_exchange(monkeypatch):
    """A file system that cannot exchange two files, as NFS and SMB cannot; filelock has no public name for it."""
    monkeypatch.setattr("filelock._soft.exchange_names", lambda *_: False)


def of_a_dead_process(path):
    """Return what the file of a lease holds whose process has ended."""
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    with Lease(path):
        own = path.read_text()
    lines = [f"pid={process.pid}" if line.startswith("pid=") else line for line in own.splitlines()]
    return "\n".join(lines) + "\n"


def test_a_lease_of_a_dead_process_is_taken_where_files_cannot_be_exchanged(workplace, without_exchange):
    path = workplace / ".pack=00000"
    path.write_text(of_a_dead_process(path))
    with Lease(path) as lease:
        lease.check()
    assert not list(workplace.iterdir())


def test_a_lease_that_another_process_took_meanwhile_is_put_back(workplace, without_exchange, monkeypatch):
    path = workplace / ".pack=00000"
    path.write_text(of_a_dead_process(path))
    rename = Path.rename

    def faster(source, target):
        source.write_text(FOREIGN)  # another process has taken it since its owner was read
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", faster)
    with pytest.raises(Held, match="process 77 on elsewhere"):
        Lease(path).__enter__()
    assert path.read_text() == FOREIGN
    assert list(workplace.iterdir()) == [path]


@pytest.mark.parametrize("exchange", [True, False])
def test_a_lease_of_another_machine_is_waited_for_and_taken_when_nobody_touches_it(
    workplace, monkeypatch, capsys, exchange, request
):
    if not exchange:
        request.getfixturevalue("without_exchange")
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


def test_a_lease_names_its_batch_job_and_its_holder_says_so(workplace, monkeypatch):
    monkeypatch.setattr(ddlab.store.lease, "PATIENCE", 0.2)
    monkeypatch.setenv("SLURM_JOB_ID", "42")
    with Lease(workplace / ".pack=00000"), pytest.raises(Held, match=rf"process {os.getpid()} on this machine, batch job 42"):
        Lease(workplace / ".pack=00000").__enter__()
    assert not list(workplace.iterdir())
