"""Generated results directories."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ddlab.store.sealed import read_table, sealed, write_table
from ddlab.store.store import Store
from tests.resume.fuzz import Worker, check, contents, fault, lines


def results_directories(place: Path, seed: int) -> Iterator[Path]:
    """Yield results directories that a stranger could have made: their checksums are right, their content is not."""
    moments = random.Random(seed)
    odd: list[Any] = [
        None,
        3,
        "x",
        [],
        [1],
        {},
        {"a": 1},
        [[]],
        -1,
        1e300,
        True,
        {"a": {"b": [None]}},
        "$\\frac{$",
        "=1+1",
        "x" * 3000,
    ]
    stored = Store(place / "results/tiny")
    number = 0

    def copy() -> Store:
        nonlocal number
        number += 1
        shutil.copytree(stored.root, place / f"results/s{number}")
        return Store(place / f"results/s{number}")

    sweep = stored.read_sweep()
    for key in ("name", "title", "paper", "shows", "figures", "claims", "parts", "minutes"):
        for value in moments.sample(odd, 5):
            store = copy()
            store.write_sweep({**sweep, key: value})
            yield store.root
    for entry in ("figures", "claims"):
        for name, options in sweep[entry].items():
            for option in options:
                store = copy()
                store.write_sweep({**sweep, entry: {name: {**options, option: moments.choice(odd)}}})
                yield store.root
    for path in ("plan.parquet", "trials/pack=00000.parquet", "curves/pack=00000/part-00000.parquet"):
        table = read_table(stored.root / path)
        for column in moments.sample(table.column_names, min(9, len(table.column_names))):
            store = copy()
            at = table.column_names.index(column)
            lists = pa.array([[1.0]] * len(table))
            changed = [table.drop_columns([column]), table.set_column(at, column, lists), table.slice(0, 0)]
            write_table(store.root / path, moments.choice(changed))
            yield store.root
    for content in ('{"a": 1}', "[1]", "[{}]", "[" * 9999, json.dumps([sealed({"command": 3})]), json.dumps([sealed({"x": 1})])):
        store = copy()
        store.provenance_file.write_text(content)
        yield store.root
    for name in ("plan.parquet", "sweep.yaml", "provenance.json", "trials/pack=00000.parquet"):
        store = copy()
        (store.root / name).unlink()
        (store.root / name).mkdir()
        yield store.root
    store = copy()
    plan = store.read_plan()
    store.write_plan(plan.assign(num_train=0, config="[1]", choices="3"))
    yield store.root


@pytest.mark.slow
def test_results_directories(worker, place):
    roots = list(results_directories(place, 3))
    directories = [str(root.relative_to(place)) for root in roots]
    check(worker, place, "results directories", [[word, name] for name in directories for word in ("status", "verify")])
    check_reports(worker, place, directories)


def check_reports(worker: Worker, place: Path, directories: list[str]) -> None:
    """Make the report of results directories: nothing but what lies in their report/ may change."""

    def stored() -> dict[str, str]:
        reports = {str(place / name / "report") for name in directories}
        return {path: digest for path, digest in contents(place).items() if not reports & set(map(str, Path(path).parents))}

    before, faults = stored(), []
    for name in directories:
        if said := fault(worker.run(["report", name])):
            faults.append((["report", name], said))
    changed = sorted(set(stored().items()) ^ set(before.items()))
    print(f"results directories, report: {len(directories)} cases")
    assert not faults, lines(faults)
    assert not changed, changed[:4]
