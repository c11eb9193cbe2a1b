"""Shared fixtures: two CPU devices of a given speed, strict dtype promotion, a cache of the session's own."""

from __future__ import annotations

import os
from dataclasses import replace

import jax
import pytest

from ddlab.devices import num_cores
from ddlab.machine import store_machine
from tests.support import MACHINE

jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_dtype_promotion", "strict")


@pytest.fixture(scope="session", autouse=True)
def data_cache(tmp_path_factory):
    """Keep generated data out of the user's cache."""
    directory = tmp_path_factory.mktemp("cache")
    os.environ["DDLAB_CACHE"] = str(directory)
    for num_devices in {1, 2, num_cores()}:  # the tests' own processes have as many as there are cores
        store_machine(replace(MACHINE, num_devices=num_devices))
    return directory


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
