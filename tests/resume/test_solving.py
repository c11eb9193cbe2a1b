"""Packs that are solved go on behind what is stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ddlab
import ddlab.solving.cost
import ddlab.solving.prepare
from ddlab.cli import main
from ddlab.solving.compiled import CompiledSolver
from ddlab.solving.deal import deal
from ddlab.store.store import Store
from tests.support import curves, interrupt_after

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("fast_packs")]


@pytest.fixture
def one_problem_at_a_time(monkeypatch):
    """Each device is handed one problem at a time; how many problems each call of the solver was given."""
    calls, solve = [], CompiledSolver.solve

    def counted(solver, problems):
        calls.append(len(problems))
        return solve(solver, problems)

    monkeypatch.setattr(ddlab.solving.cost, "PROBLEMS_OF_WORK", 1e-6)
    monkeypatch.setattr(CompiledSolver, "solve", counted)
    return calls


def test_an_interrupted_pack_goes_on_behind_what_is_stored(solved, one_problem_at_a_time, monkeypatch):
    seeds = "seed=range(10)"
    assert main(["sweep", solved, seeds, "out=whole"]) == 0
    one_problem_at_a_time.clear()
    with monkeypatch.context() as patched:
        interrupt_after(patched, 2)
        assert main(["sweep", solved, seeds]) == 130
    stored = len(curves("results/solved"))
    assert 0 < stored < 160
    assert main(["sweep", solved, seeds]) == 0
    assert sum(one_problem_at_a_time) == 10  # of the problems, one of each seed, none was solved twice
    for name, column in curves("whole").items():
        np.testing.assert_array_equal(curves("results/solved")[name], column, err_msg=str(name))
    assert set(ddlab.load("results/solved").trials["status"]) == {"completed"}


def test_a_pack_goes_on_where_other_devices_deal_its_widths_otherwise(solved, one_problem_at_a_time, monkeypatch):
    seeds = "seed=range(5)"
    assert main(["sweep", solved, seeds, "out=whole"]) == 0
    with monkeypatch.context() as patched:
        interrupt_after(patched, 1)
        patched.setattr(ddlab.solving.prepare, "deal", lambda trials, _, most: deal(trials, 16, most))  # each width is a problem
        assert main(["sweep", solved, seeds]) == 130
    before = curves("results/solved")
    assert 0 < len(before) < 80
    assert main(["sweep", solved, seeds]) == 0
    stored = pd.concat(pd.read_parquet(part) for part in Path("results/solved/curves").rglob("*.parquet"))
    assert len(stored) == 80
    after = curves("results/solved")
    kept = after[after["trial_id"].isin(set(before["trial_id"]))].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, before)
    for name, column in curves("whole").items():
        if column.dtype.kind == "f":
            np.testing.assert_allclose(after[name], column, rtol=1e-9, atol=1e-13, err_msg=str(name))


@pytest.mark.filterwarnings("ignore::ddlab.files.DamagedPart")
def test_a_damaged_part_is_solved_again(solved):
    assert main(["sweep", solved]) == 0
    before = curves("results/solved")
    part = Store("results/solved").part_file(0, 0)
    part.write_bytes(part.read_bytes()[:100])
    assert main(["sweep", solved]) == 0
    assert curves("results/solved").equals(before)
