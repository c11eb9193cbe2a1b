"""A process that runs commands, and a directory with a small sweep."""

from __future__ import annotations

import pytest

from ddlab.cli import main
from tests.resume.fuzz import CHECKOUT, TINY, Worker


@pytest.fixture
def worker():
    worker = Worker()
    yield worker
    worker.close()


@pytest.fixture
def place(workplace, monkeypatch):
    """A directory with a small sweep and its stored results; this checkout stays importable from it."""
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT))
    (workplace / "tiny.yaml").write_text(TINY)
    assert main(["sweep", "tiny.yaml", "out=results/tiny"]) == 0
    return workplace
