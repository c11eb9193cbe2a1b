"""Rows on their way to the store: in which order, and how many wait."""

from __future__ import annotations

import jax
import numpy as np
import pandas as pd
import pytest

import ddlab
import ddlab.solving.cost
import ddlab.store.rows
from ddlab.cli import main
from ddlab.store.rows import Rows, most_waiting
from ddlab.store.store import Store
from tests.support import MODULAR, NO_GRADIENT

pytestmark = pytest.mark.usefixtures("fast_packs")

IDS = np.array(["a", "b", "c"], object)


def test_rows_of_several_eval_points_are_those_added_one_after_the_other():
    metrics = {"loss": np.arange(6.0).reshape(2, 3), "outputs": np.arange(12.0).reshape(2, 3, 2)}
    recorded = np.array([[True, True, False], [False, True, True]])
    together, apart = Rows(), Rows()
    together.add(IDS, np.array([[0], [7]]), metrics, recorded)
    for k, step in enumerate((0, 7)):
        apart.add(IDS, step, {name: values[k] for name, values in metrics.items()}, recorded[k])
    found, expected = together.take(), apart.take()
    assert found.keys() == expected.keys()
    for name, values in found.items():
        np.testing.assert_array_equal(values, expected[name], strict=True)
    assert found["trial_id"].tolist() == ["a", "b", "b", "c"]


def test_bytes_that_wait_are_those_of_the_arrays_until_they_are_taken():
    rows = Rows()
    rows.add(IDS, 0, {"loss": np.zeros(3)}, np.ones(3, bool))
    arrays = [array for column in rows.columns.values() for array in column]
    assert rows.num_bytes > sum(array.nbytes for array in arrays)
    rows.take()
    assert (rows.num_bytes, rows.columns) == (0, {})


def test_rows_that_wait_take_a_small_share_of_a_small_budget_and_never_much():
    assert most_waiting(2**24) == 2**20
    assert most_waiting(2**40) == 2**26


TRAINED = (*MODULAR, NO_GRADIENT, "train.steps=300", "train.num_evals=100", "train.eval_spacing=linear", "seed=range(3)")
SEEDS = 6
SOLVED = (
    *("data=gaussian", "data.num_train=8", "data.num_features=12", "model=linear", "optimizer=gradient_flow", "train=exact"),
    *(
        "measures=exact",
        "model.width=2,12",
        "train.steps=99",
        "train.num_evals=100",
        "train.eval_spacing=linear",
        f"seed=range({SEEDS})",
    ),
)


@pytest.mark.parametrize("words", [TRAINED, SOLVED])
def test_waiting_rows_are_written_before_they_are_many_and_the_curves_are_the_same(words, workplace, monkeypatch):
    (workplace / "s.yaml").write_text("defaults: [ddlab, _self_]\n")
    waiting = []
    take = Rows.take
    monkeypatch.setattr(Rows, "take", lambda self: (waiting.append(self.num_bytes), take(self))[1])
    never = "pack.checkpoint_seconds=1000"
    assert main(["sweep", "s.yaml", *words, never, "out=whole"]) == 0
    assert len(waiting) == 1
    monkeypatch.setattr(ddlab.store.rows, "MOST_WAITING", 20_000)
    monkeypatch.setattr(ddlab.solving.cost, "PROBLEMS_OF_WORK", 1e-6)
    assert main(["sweep", "s.yaml", *words, never, "out=parts"]) == 0
    of_a_call = jax.local_device_count() / SEEDS  # of the rows at most: a problem, which has a seed of its own, for each device
    assert max(waiting[1:]) < 20_000 + of_a_call * waiting[0]
    assert len(waiting) > 3
    whole, parts = (ddlab.load(out).curves.sort_values(["trial_id", "step"], ignore_index=True) for out in ("whole", "parts"))
    pd.testing.assert_frame_equal(parts, whole)


def test_a_sweep_ends_without_reading_its_curves(workplace, monkeypatch, capsys):
    (workplace / "s.yaml").write_text("defaults: [ddlab, _self_]\n")
    monkeypatch.setattr(Store, "curves", lambda _: pytest.fail("read all curves"))
    assert main(["sweep", "s.yaml", *SOLVED, "out=here"]) == 0
    assert "12 trials (12 completed) in here" in capsys.readouterr().out
