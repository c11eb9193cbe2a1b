"""Every option of every config group keeps every rule of its kind, and so do the components that no option names."""

from __future__ import annotations

import re

import numpy as np
import pytest

from ddlab.config import catalog
from ddlab.config.components import public_name
from ddlab.contracts import Status, check, compose_subject
from tests.contracts.shipped import components

pytestmark = pytest.mark.numeric

# Components that ddlab ships and no option names.
OTHERS = ("ddlab.measures.Predictions", "ddlab.measures.NoiseVariance")
# Config groups that hold settings, not components.
SETTINGS = {"pack", "train"}


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    """A file for data=npz."""
    path = tmp_path_factory.mktemp("npz") / "arrays.npz"
    np.savez(path, inputs=np.random.default_rng(0).normal(size=(30, 3)), targets=np.arange(30) % 4)
    return path


@pytest.mark.parametrize("name", [*catalog.component_options(), *OTHERS])
def test_a_component_keeps_every_rule(name, arrays):
    depth = ("depth=2",)  # with weights between units that are padded
    words = {
        "data=npz": (f"path={arrays}",),
        "model=embedding_mlp": depth,
        "model=mlp": depth,
        "model=transformer": (*depth, "init_scale=0.3"),
    }
    found = list(check(compose_subject(name, words.get(name, ()))))
    assert {rule.__name__: verdict.reason for rule, verdict in found if verdict.status is Status.BROKEN} == {}
    assert {rule.__name__ for rule, verdict in found if verdict.status is Status.SKIPPED} == set()  # all say something of it


def test_every_group_and_every_component_is_among_them():
    groups = catalog.config_groups([catalog.shipped("configs")])
    assert set(groups) - SETTINGS == set(catalog.PLACES)
    texts = [path.read_text() for path in catalog.shipped("configs").glob("*/*.yaml")]
    named = {*OTHERS, *re.findall(r"_target_: ([\w.]+)", " ".join(texts))}
    assert {public_name(cls) for cls in components()} == named
