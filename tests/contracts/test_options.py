"""Every option of every config group keeps every rule of its kind, and so do the components that no option names."""

from __future__ import annotations

import re

import numpy as np
import pytest

from ddlab.config import catalog
from ddlab.config.components import public_name
from ddlab.contracts import Status, check, compose_subject
from tests.contracts.shipped import components
from tests.images import OPTIONS, write
from tests.support import ONE_NUMBER

pytestmark = pytest.mark.numeric

# Components that ddlab ships and no option names.
OTHERS = ("ddlab.measures.Predictions", "ddlab.measures.NoiseVariance")
# Options that are dear, or whose class, or what it shares with its base class, another option is checked with.
AKIN = {
    *(
        *("measures=circuit", "measures=pizza"),
        "model=cnn",
        "model=legendre",
        "model=linear",
        "model=resnet18",
        "model=vision_transformer",
        *("modifier=ema", "modifier=sam"),
        "optimizer=adamw",
        "optimizer=gradient_flow",
    ),
    *("schedule=constant", "schedule=inverse_sqrt"),
    *("loss=hinge", "model=random_features", "modifier=swa"),
    *("measures=neurons", "model=cnn_1d", "model=transformer"),
}
# Rules that say nothing of a component: it has no size to be padded, or is told of training (tests/models has its gradient).
WITHOUT = {
    "model=diagonal": {"stays_dead_where_padded"},
    **{f"model={name}": {"follows_its_gradient"} for name in ("cnn", "cnn_1d", "resnet18")},
}
# Config groups that hold settings, not components.
SETTINGS = {"pack", "train", "start"}
# What names other trials, and so is tried in whole sweeps (tests/starts).
OF_TRIALS = {
    f"ddlab.starts.{name}" for name in ("FromTrial", "Between", "Average", "NormOf", "Cut", "Pattern", "Copied", "Teacher")
}
# Overrides of the trial that an option is tried in; those of models give them weights between units that are padded.
WORDS = {
    "model=cnn": ("pools=[1,2,2,2]",),
    "model=cnn_1d": ("norm=batch", "pools=[1,2,1]", "data=mnist1d"),
    "model=embedding_mlp": ("depth=2",),
    "model=mlp": ("depth=2",),
    "model=resnet18": ("blocks=[1,1]",),
    "model=transformer": ("depth=2", "init_scale=0.3"),
    "model=vision_transformer": ("depth=1", "dimensions=2", "patch=2", "bias=mlp", "init_scale=0.3"),
    "measures=default": ONE_NUMBER,
    "measures=masks": ONE_NUMBER,
    "score=router_mass": ("model=moe",),
    **{f"modifier={name}": ONE_NUMBER for name in ("ema", "sam")},
    "modifier=swa": ("begin=8", "every=4", *ONE_NUMBER),
    "modifier=prune": ("sparsity=0.5", "every=8", *ONE_NUMBER),
    **{f"optimizer={name}": ONE_NUMBER for name in ("adam", "adamw", "sgd")},
    **{f"schedule={name}": ONE_NUMBER for name in ("constant", "cosine", "inverse_sqrt")},
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Small files for the data sets that are read from the user's, by the names of their options."""
    path = tmp_path_factory.mktemp("npz") / "arrays.npz"
    np.savez(path, inputs=np.random.default_rng(0).normal(size=(30, 3)), targets=np.arange(30) % 4)
    return {"data=npz": path} | {f"data={name}": write(tmp_path_factory.mktemp(name), name) for name in OPTIONS}


NAMES = [*catalog.component_options(), *OTHERS]


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) if name in AKIN else name for name in NAMES])
def test_a_component_keeps_every_rule(name, files):
    words = {**WORDS, **{option: (f"path={path}",) for option, path in files.items()}}
    found = list(check(compose_subject(name, words.get(name, ()))))
    assert {rule.__name__: verdict.reason for rule, verdict in found if verdict.status is Status.BROKEN} == {}
    skipped = {rule.__name__ for rule, verdict in found if verdict.status is Status.SKIPPED}
    assert skipped == WITHOUT.get(name, set())  # all others say something of it


def test_sizes_that_must_be_even_are_even_in_every_trial():
    """Rotary positions turn pairs of entries."""
    sizes = [trial["model.head_size"] for trial in compose_subject("model=transformer", ("positions=rotary",)).trials]
    assert len(set(sizes)) > 1
    assert not any(size % 2 for size in sizes)


def test_every_group_and_every_component_is_among_them():
    groups = catalog.config_groups([catalog.shipped("configs")])
    assert set(groups) - SETTINGS == set(catalog.PLACES)
    texts = [path.read_text() for path in catalog.shipped("configs").glob("*/*.yaml")]
    named = {*OTHERS, *re.findall(r"_target_: ([\w.]+)", " ".join(texts))}
    assert {public_name(cls) for cls in components()} == named - OF_TRIALS
