"""The programs of every shipped sweep lower for CUDA and TPU, and call nothing that only a CPU has."""

from __future__ import annotations

import pytest

from ddlab.config import catalog
from ddlab.config.declare import Mark
from ddlab.config.trial import build, declarations, marked
from ddlab.contracts.engine import Solved, Trained
from ddlab.contracts.values import MOST, shrunk
from tests.support import shipped_sweep, typical_first

SWEEPS = {path.stem: path for path in sorted(catalog.shipped("sweeps").glob("*.yaml"))}


# Examples that the files of the tests have.
FEWER = {"cifar10_resnet18": ["data.num_train=40", "data.num_test=20"]}
# What is as it is: a size of images divides theirs.
WHOLE = ("train.", "data.size")


def programs_of(name):
    """Return the leaves of one small trial for each program of a sweep, whatever its sizes and traced numbers are."""
    found = {}
    for part in shipped_sweep(name, FEWER.get(name, [])).parts:
        for key, values in {"seed": [part.base["seed"]], **part.axes}.items():
            for value in values:
                leaves = small(part.at_point({key: value}))
                varying = marked(leaves, Mark.TRACED, Mark.SIZE, Mark.HOST)
                found[repr(sorted((key, value) for key, value in leaves.items() if key not in varying))] = leaves
    return list(found.values())


def small(leaves):
    declared = declarations(leaves)
    cut = {key: value if key.startswith(WHOLE) else shrunk(key, declared[key], value) for key, value in leaves.items()}
    batch = leaves["train.batch_size"]
    return {**cut, "train.batch_size": batch and min(batch, MOST // 2)}


@pytest.mark.parametrize("name", typical_first(SWEEPS))
def test_the_programs_of_a_sweep_lower_for_accelerators(name):
    programs = programs_of(name)
    assert programs
    for leaves in programs:
        is_solved = build(leaves, "optimizer").METHOD == "solving"
        assert "stablehlo" in (Solved([[leaves]]) if is_solved else Trained([leaves])).text
