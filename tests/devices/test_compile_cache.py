"""The cache of compiled programs: taken up by the next process, and kept where there is room."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import warnings
from types import SimpleNamespace

import jax
import pandas as pd
import pytest

from ddlab.cli import main
from ddlab.devices.local import use_compile_cache
from tests.support import curves

pytestmark = pytest.mark.usefixtures("fast_packs")

COUNT_PROGRAMS = """
import collections, json, sys
import jax
from ddlab.cli import main
from ddlab.contracts import engine
from ddlab.devices import build
build.COMPILER_OPTIONS.update(engine.COMPILER_OPTIONS)
events = collections.Counter()
jax.monitoring.register_event_listener(lambda event, **_: events.update([event.rpartition("/")[2]]))
for words in json.loads(sys.argv[1]):
    events.clear()
    assert main(words) == 0
    print(json.dumps([events["cache_hits"], events["cache_misses"]]))
"""


def programs_of(*sweeps: list[str]) -> list[list[int]]:
    """Run sweeps in a process of its own; return of each how many programs it took from the cache, and how many it compiled."""
    words = json.dumps([["sweep", *sweep] for sweep in sweeps])
    done = subprocess.run([sys.executable, "-c", COUNT_PROGRAMS, words], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]


def test_the_next_process_takes_programs_from_the_cache(tiny, tmp_path, monkeypatch):
    shutil.copytree(os.environ["DDLAB_CACHE"], tmp_path / "cache", ignore=shutil.ignore_patterns("programs"))
    monkeypatch.setenv("DDLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    ((taken, compiled),) = programs_of([tiny, "out=first"])
    assert taken == 0
    assert compiled > 0
    other_numbers = ("optimizer.learning_rate=0.01", "optimizer.weight_decay=0.1", "data.label_noise=0.5", "seed=7,8")
    again = ([tiny, "out=second"], [tiny, *other_numbers, "out=other"], [tiny, "measures=none", "out=unmeasured"])
    assert programs_of(*again) == [[compiled, 0], [compiled, 0], [compiled - 1, 1]]  # the one that is new measures
    pd.testing.assert_frame_equal(curves(tmp_path / "first"), curves(tmp_path / "second"), check_exact=True)
    shutil.rmtree(tmp_path / "cache" / "compiled")
    assert main(["sweep", tiny, "out=third", "pack.compile_cache_mib=0"]) == 0
    assert not (tmp_path / "cache" / "compiled").exists()


def test_a_users_own_jax_cache_is_respected(tiny, tmp_path, monkeypatch):
    """The tests have one of their own."""
    shutil.copytree(os.environ["DDLAB_CACHE"], tmp_path / "cache", ignore=shutil.ignore_patterns("programs"))
    monkeypatch.setenv("DDLAB_CACHE", str(tmp_path / "cache"))
    assert main(["sweep", tiny]) == 0
    assert not (tmp_path / "cache" / "compiled").exists()
    assert jax.config.jax_compilation_cache_dir == os.environ["JAX_COMPILATION_CACHE_DIR"]


def test_no_compiled_program_is_kept_on_a_disk_that_is_nearly_full(tmp_path, monkeypatch):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    monkeypatch.setenv("DDLAB_CACHE", str(tmp_path))
    use_compile_cache(8)
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "compiled")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**20))
    use_compile_cache(8)
    assert jax.config.jax_compilation_cache_dir is None


def test_jax_says_once_that_a_program_cannot_be_kept():
    use_compile_cache(8)
    with warnings.catch_warnings(record=True) as said:
        for _ in range(3):
            warnings.warn("Error writing persistent compilation cache entry for 'x': OSError", stacklevel=1)
    assert len(said) == 1
