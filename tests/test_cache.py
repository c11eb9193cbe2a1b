"""A cache directory that cannot be used: everything works without it, and little is said."""

from __future__ import annotations

import errno
import os
import shutil
import warnings
from types import SimpleNamespace

import jax

import ddlab
from ddlab.cli import main
from ddlab.data.mnist1d import _block
from ddlab.devices.local import use_compile_cache
from ddlab.run import speed as machine
from tests.support import MACHINE, SMALL_MNIST


def test_a_sweep_runs_without_a_cache_directory_and_says_nothing_of_it(workplace, monkeypatch, capsys):
    (workplace / "file").touch()
    (workplace / "s.yaml").write_text("defaults: [ddlab, _self_]\n")
    monkeypatch.setenv("DDLAB_CACHE", str(workplace / "file" / "cache"))
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    monkeypatch.setattr(machine, "measure", lambda: MACHINE)
    assert main(["sweep", "s.yaml", *SMALL_MNIST, "train.steps=5", "out=here"]) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("pack 1/1")]
    assert said == ["measuring the speed of this machine, once (about 10 s) ..."]
    assert set(ddlab.load("here").trials["status"]) == {"completed"}


def full_disk(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_block_that_does_not_fit_into_the_cache_leaves_no_file_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("DDLAB_CACHE", str(tmp_path))
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full_disk)
        inputs, _ = _block("train", 0, 0)
    assert list(tmp_path.iterdir()) == []
    assert (_block("train", 0, 0)[0] == inputs).all()
    assert len(list(tmp_path.iterdir())) == 1


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
