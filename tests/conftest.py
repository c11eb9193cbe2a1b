"""Shared fixtures: two CPU devices, strict dtype promotion, data generated once per session into a cache of its own."""

from __future__ import annotations

import os

import jax
import pytest

jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_dtype_promotion", "strict")


@pytest.fixture(scope="session", autouse=True)
def data_cache(tmp_path_factory):
    """Keep generated data out of the user's cache."""
    directory = tmp_path_factory.mktemp("cache")
    os.environ["DDLAB_CACHE"] = str(directory)
    return directory


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
