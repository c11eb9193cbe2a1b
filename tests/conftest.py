"""Shared fixtures: two CPU devices of a given speed, strict dtype promotion, a cache that all processes of a session share."""

from __future__ import annotations

import contextlib
import gc
import os
from dataclasses import replace

import jax
import pytest
from jax.experimental.compilation_cache.compilation_cache import reset_cache
from threadpoolctl import threadpool_limits

from ddlab.contracts import engine
from ddlab.devices import build
from ddlab.devices.local import num_cores
from ddlab.run.speed import store_machine
from tests.images import NUM_TEST, NUM_TRAIN, OPTIONS, write
from tests.support import MACHINE, SOLVED, TINY, write_sweep


def use_fast_compiler():
    """Compile the tests' own programs, which run for a moment, as the contracts do theirs; packs are compiled as they ship.

    XLA reads its flags when JAX looks for devices. Processes that the tests start do not have these flags.
    """
    own, given = engine.COMPILER_OPTIONS["cpu"], os.environ.get("XLA_FLAGS", "")
    as_shipped = {"xla_backend_optimization_level": 3, "xla_cpu_use_fusion_emitters": True, **build.COMPILER_OPTIONS["cpu"]}
    build.COMPILER_OPTIONS["cpu"] = as_shipped
    assert as_shipped.keys() == own.keys()
    os.environ["XLA_FLAGS"] = " ".join([given, *(f"--{name}={value}".lower() for name, value in own.items())])
    jax.devices()
    os.environ["XLA_FLAGS"] = given


jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_dtype_promotion", "strict")
use_fast_compiler()
threadpool_limits(1, "blas")  # the matrices of the tests are small, and two workers share the cores
gc.freeze()  # or a fifth of the time of tracing goes into looking through what was imported and what JAX keeps
gc.set_threshold(50_000, 20, 50)


# Training and test examples that shipped sweeps take of a data set, as many as files of the tests may have.
SIZES_OF_SWEEPS = {"fashion_mnist": (4000, 4000)}


@pytest.fixture(scope="session", autouse=True)
def session_cache(tmp_path_factory):
    """Keep generated data and compiled programs out of the user's cache, in one of all processes of this session."""
    base = tmp_path_factory.getbasetemp()
    directory = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
    os.environ["DDLAB_CACHE"] = str(directory)
    for num_devices in {1, 2, num_cores()}:  # the tests' own processes have as many as there are cores
        store_machine(replace(MACHINE, num_devices=num_devices))
    for option in OPTIONS:  # a sweep of images looks for its files there; a machine may have them elsewhere
        if not (directory / option).exists():
            sizes = SIZES_OF_SWEEPS.get(option, (NUM_TRAIN, NUM_TEST))
            written = write(directory / f"{option}-{os.getpid()}", option, sizes=sizes)
            with contextlib.suppress(OSError):  # another worker was faster
                written.rename(directory / option)
    programs = {
        "jax_compilation_cache_dir": str(directory / "programs"),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": 0,
    }
    for name, value in programs.items():
        jax.config.update(name, value)
        os.environ[name.upper()] = str(value)


@pytest.fixture(autouse=True)
def compile_cache_as_before(session_cache):
    """Undo what a test has set of JAX's cache of compiled programs."""
    before = {
        name: value for name, value in jax.config.values.items() if "compilation_cache" in name or "persistent_cache" in name
    }
    yield
    if any(jax.config.values[name] != value for name, value in before.items()):
        for name, value in before.items():
            jax.config.update(name, value)
        reset_cache()


@pytest.fixture(scope="module")
def fast_packs():
    """Compile packs fast, too: for tests of what is said and stored of them, not of their numbers."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(build.COMPILER_OPTIONS, "cpu", engine.COMPILER_OPTIONS["cpu"])
        yield


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def tiny(workplace):
    """The name of a sweep that trains six trials, in an empty working directory."""
    write_sweep(workplace, "tiny", TINY)
    return "tiny"


@pytest.fixture
def solved(workplace):
    """The name of a sweep that solves forty-eight trials in closed form, in an empty working directory."""
    write_sweep(workplace, "solved", SOLVED)
    return "solved"


@pytest.fixture
def float64():
    """JAX computes in float64 where it is asked to."""
    with jax.enable_x64(True):
        yield
