"""Rules of data sets."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ddlab.config.declare import Mark, declared
from ddlab.contracts.rules.arrays import difference
from ddlab.contracts.subject import Subject
from ddlab.contracts.values import other_values
from ddlab.contracts.verdict import KEPT, Verdict, broken, skipped, verdict_of
from ddlab.data import Dataset, describe, load
from ddlab.errors import ConfigError

LOADS = """\
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from ddlab.config.trial import build
from ddlab.data import load
print(load(build(json.loads(sys.argv[2]), "data")).checksum)
"""


def is_described_as_it_is(subject: Subject) -> Verdict:
    """describe() says the sizes of what load() gives, and load() gives whole, finite arrays."""
    said, given = describe(subject.component), load(subject.component).spec
    return verdict_of(f"describe() says {said}, load() gives {given}" if said != given else "")


def is_the_same_each_time(subject: Subject) -> Verdict:
    """Loaded twice it is the same, bit for bit."""
    first, second = (load(subject.component).arrays for _ in range(2))
    return verdict_of(difference(first, second, ("at first", "again"), rounding=0))


def is_the_same_in_another_process(subject: Subject) -> Verdict:
    """Loaded in another process it is the same, bit for bit."""
    here = load(subject.component).checksum
    leaves = {key: value for key, value in subject.leaves.items() if key.startswith("data.")}
    command = [sys.executable, "-c", LOADS, json.dumps(sys.path), json.dumps(leaves)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONHASHSEED": "random"})
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it ends without a word"]
        return broken(f"it cannot be loaded there: {lines[-1]}")
    return verdict_of("" if done.stdout.split()[-1:] == [here] else "its checksum is another there")


def has_one_shape(subject: Subject) -> Verdict:
    """Fields of mark HOST, which may differ within a pack, change no shape; those of mark SIZE, numbers of examples only."""
    leaves, spec = declared(type(subject.component)), load(subject.component).spec
    for words, dataset in _varied(subject.component, [name for name in leaves if leaves[name].mark is Mark.HOST]):
        if dataset.spec != spec:
            return broken(f"{words}: gives {dataset.spec}, not {spec}")
    for words, dataset in _varied(subject.component, [name for name in leaves if leaves[name].mark is Mark.SIZE]):
        if dataset.spec.of_size(1) != spec.of_size(1):
            return broken(f"{words}: gives {dataset.spec}, not as {spec} but for the sizes")
    return KEPT


def has_targets_apart(subject: Subject) -> Verdict:
    """Fields that are declared to change targets only leave the inputs alone."""
    of_targets = [name for name, leaf in declared(type(subject.component)).items() if leaf.targets]
    if not of_targets:
        return skipped("it has no field declared with targets=True")
    inputs = _inputs(load(subject.component))
    for words, dataset in _varied(subject.component, of_targets):
        if problem := difference(inputs, _inputs(dataset), ("before", "after"), rounding=0):
            return broken(f"{words}: {problem}")
    return KEPT


def is_nested(subject: Subject) -> Verdict:
    """A smaller training set is the first examples of a larger one, where NESTED_BY says so."""
    name = subject.component.NESTED_BY
    if name is None:
        return skipped("it makes no such claim (NESTED_BY)")
    size = getattr(subject.component, name)
    smaller = load(_with(subject.component, name, size // 2 if isinstance(size, int) else size / 2)).train.inputs
    same = np.array_equal(smaller, load(subject.component).train.inputs[: len(smaller)])
    return verdict_of("" if same else f"half of {name} gives training inputs that are not the first of the whole")


def _varied(source: Any, names: Iterable[str]) -> Iterator[tuple[str, Dataset]]:
    """Yield the data sets that another value of each of some fields gives, and what was changed, in words."""
    for name in names:
        for value in other_values(declared(type(source))[name], getattr(source, name))[:1]:
            try:
                changed = _with(source, name, value)
            except ConfigError:  # at odds with another field
                continue
            yield f"{name}={value}", load(changed)


def _with(source: Any, name: str, value: Any) -> Any:
    """Return a data set with another value of one field, checked as a whole."""
    changed = dataclasses.replace(source, **{name: value})
    if hasattr(changed, "check"):
        changed.check()
    return changed


def _inputs(dataset: Dataset) -> dict[str, np.ndarray]:
    return {name: split.inputs for name, split in dataset.splits.items()}
