"""A device, or the host, that runs out of memory: the pack goes on in smaller pieces, or one line says that it cannot."""

from __future__ import annotations

import gc
import weakref

import jax
import numpy as np
import pytest

import ddlab
import ddlab.commands.planning
import ddlab.solving.cost
import ddlab.solving.prepare
import ddlab.training.method
import ddlab.training.prepare
from ddlab.cli import main
from ddlab.devices.layout import Tiles
from ddlab.solving.compiled import CompiledSolver
from ddlab.solving.cost import Portion
from ddlab.training.checkpoints import Checkpoints
from ddlab.training.compiled import Placed
from tests.support import MODULAR, NO_GRADIENT

pytestmark = pytest.mark.usefixtures("fast_packs")

TRAINED = (*MODULAR, "train.steps=60", "train.num_evals=12", "train.eval_spacing=linear", NO_GRADIENT, "seed=range(16)")
SOLVED = (
    *("data=gaussian", "data.num_train=8", "data.num_features=12", "model=linear", "optimizer=ridge", "train=exact"),
    *("measures=exact", "model.width=2,12", "seed=range(16)"),
)


@pytest.fixture
def sweep(workplace):
    (workplace / "s.yaml").write_text("defaults: [ddlab, _self_]\n")
    return "s.yaml"


def full(*_, **__):
    raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8589934592 bytes.")


def fails(monkeypatch, owner, name, when):
    """Make a function raise what XLA raises without memory, at the calls whose number `when` holds for."""
    whole, calls = getattr(owner, name), []

    def sometimes(*args, **options):
        calls.append(args)
        return full() if when(len(calls)) else whole(*args, **options)

    monkeypatch.setattr(owner, name, sometimes)
    return calls


def curves(out):
    return ddlab.load(out).curves.sort_values(["trial_id", "step"], ignore_index=True)


def assert_equal_to_rounding(found, expected):
    assert found.columns.tolist() == expected.columns.tolist()
    assert found[["trial_id", "step"]].equals(expected[["trial_id", "step"]])
    for name in expected.columns.drop(["trial_id", "step"]):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-3, atol=1e-6, err_msg=name)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Directories of the trained and the solved sweep, made with enough memory."""
    root = tmp_path_factory.mktemp("whole")
    (root / "s.yaml").write_text("defaults: [ddlab, _self_]\n")
    for words, name in ((TRAINED, "trained"), (SOLVED, "solved")):
        assert main(["sweep", str(root / "s.yaml"), *words, f"out={root / name}"]) == 0
    return root


SAID = (
    "ddlab: pack 0 did not fit into the device's memory: going on with tiles of {} trial{} (were {}); results differ by rounding"
)


@pytest.mark.parametrize(("owner", "name", "call"), [(ddlab.training.prepare, "compile_pack", 1), (Placed, "advance", 1)])
def test_a_trained_pack_that_does_not_fit_begins_again_with_tiles_of_half_the_size(
    owner, name, call, sweep, whole, monkeypatch, capsys
):
    fails(monkeypatch, owner, name, lambda number: number == call)
    assert main(["sweep", sweep, *TRAINED, "out=here"]) == 0
    assert SAID.format(4, "s", 8) in capsys.readouterr().err.splitlines()
    assert_equal_to_rounding(curves("here"), curves(whole / "trained"))


def test_a_trained_pack_that_does_not_fit_any_more_goes_on_from_its_last_commit(sweep, whole, monkeypatch, capsys):
    restored, restore = [], Checkpoints.restore

    def noted(checkpoints, shapes):
        restored.append(restore(checkpoints, shapes))
        return restored[-1]

    monkeypatch.setattr(Checkpoints, "restore", noted)
    fails(monkeypatch, Placed, "advance", lambda number: number == 9)
    assert main(["sweep", sweep, *TRAINED, "pack.checkpoint_seconds=0", "out=here"]) == 0
    assert restored[0] is None
    assert 0 < restored[1].num_evals < 9
    assert SAID.format(4, "s", 8) in capsys.readouterr().err.splitlines()
    assert_equal_to_rounding(curves("here"), curves(whole / "trained"))


@pytest.mark.parametrize(("words", "owner", "name"), [(TRAINED, Placed, "advance"), (SOLVED, CompiledSolver, "solve")])
def test_a_pack_that_never_fits_is_one_clear_line_and_what_is_stored_stays(words, owner, name, sweep, monkeypatch, capsys):
    words = [*words, "pack.checkpoint_seconds=0", "out=here"]
    monkeypatch.setattr(ddlab.solving.cost, "PROBLEMS_OF_WORK", 0.01)  # two problems at once on each device
    with monkeypatch.context() as patched:
        fails(patched, owner, name, lambda number: number > 6)
        assert main(["sweep", sweep, *words]) == 2
    *_, last = capsys.readouterr().err.splitlines()
    assert last.startswith(
        "ddlab: pack 0 does not fit into the device's memory, not even in the least pieces (RESOURCE_EXHAUSTED"
    )
    assert "pack.memory_gib" in last
    stored = ddlab.load("here")
    assert set(stored.trials["status"]) == {"pending"}
    assert len(stored.curves) > 0
    assert main(["sweep", sweep, *words]) == 0
    kept = curves("here").merge(stored.curves, on=["trial_id", "step", "train_loss"])
    assert len(kept) == len(stored.curves)
    assert set(ddlab.load("here").trials["status"]) == {"completed"}


@pytest.mark.parametrize(("owner", "name", "call"), [(ddlab.solving.prepare, "compile_solver", 1), (CompiledSolver, "solve", 1)])
def test_a_solved_pack_that_does_not_fit_goes_on_with_half_the_problems(owner, name, call, sweep, whole, monkeypatch, capsys):
    fails(monkeypatch, owner, name, lambda number: number == call)
    assert main(["sweep", sweep, *SOLVED, "out=here"]) == 0
    assert "going on with 4 problems at once (were 8)" in capsys.readouterr().err
    found, expected = curves("here"), curves(whole / "solved")
    for name in expected.columns.drop(["trial_id", "step"]):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-9, atol=1e-13, err_msg=name)


def test_a_solved_pack_keeps_the_parts_that_are_stored_when_it_goes_on_with_less(sweep, whole, monkeypatch):
    monkeypatch.setattr(ddlab.solving.cost, "PROBLEMS_OF_WORK", 0.01)  # two problems at once on each device
    solved = fails(monkeypatch, CompiledSolver, "solve", lambda number: number == 3)
    assert main(["sweep", sweep, *SOLVED, "pack.checkpoint_seconds=0", "out=here"]) == 0
    problems = [len(made) for number, (_, made) in enumerate(solved, 1) if number != 3]
    assert sum(problems) < 16 + max(problems) + 1  # at most one call, which was not yet stored, is solved again
    assert len(curves("here")) == len(curves(whole / "solved"))


def test_a_pack_prepared_ahead_that_did_not_fit_beside_another_is_prepared_alone(sweep, monkeypatch, capsys):
    calls = fails(monkeypatch, ddlab.training.prepare, "compile_pack", lambda number: number == 2)
    assert main(["sweep", sweep, *TRAINED, "pack.max_trials=8", "out=here"]) == 0
    assert len(calls) == 3
    assert "did not fit" not in capsys.readouterr().err
    assert set(ddlab.load("here").trials["status"]) == {"completed"}


def test_another_error_of_a_device_is_no_lack_of_memory(sweep, monkeypatch, capsys):
    calls = []

    def broken(*_):
        calls.append(1)
        raise jax.errors.JaxRuntimeError("INTERNAL: broken")

    monkeypatch.setattr(Placed, "advance", broken)
    assert main(["sweep", sweep, *TRAINED, "out=here"]) != 0
    said = capsys.readouterr().err
    assert "INTERNAL: broken" in said
    assert "fit" not in said
    assert len(calls) == 1


def test_what_did_not_fit_is_let_go_of_before_the_next_try(sweep, monkeypatch):
    alive, prepare = [], ddlab.training.method.prepare

    def counted(*args):
        gc.collect()
        alive.append(sum(reference() is not None for reference in made))
        prepared = prepare(*args)
        made.append(weakref.ref(prepared))
        return prepared

    made: list[weakref.ref] = []
    monkeypatch.setattr(ddlab.training.method, "prepare", counted)
    fails(monkeypatch, Placed, "advance", lambda number: number == 1)
    assert main(["sweep", sweep, *TRAINED, "out=here"]) == 0
    assert alive == [0, 0]


def test_too_little_memory_on_the_host_is_one_clear_line(sweep, monkeypatch, capsys):
    def hungry(*_):
        return np.zeros(2**58)

    monkeypatch.setattr(ddlab.training.prepare, "make_inputs", hungry)
    assert main(["sweep", sweep, *TRAINED, "out=here"]) == 2
    said = capsys.readouterr().err
    assert "ddlab: pack 0 does not fit into this machine's memory (Unable to allocate 2.00 EiB" in said
    assert "pack.memory_gib" in said.splitlines()[-1]


def test_portions_halve_down_to_one_and_then_no_further():
    words, portion = [], Tiles(5, 300)
    while (found := portion.smaller()) is not None:
        portion, said = found
        words.append(said)
    assert words == ["tiles of 2 trials (were 5)", "tiles of 1 trial (were 2)", "150 examples at once (were 300)"]
    words, portion = [], Portion(2, 3)
    while (found := portion.smaller()) is not None:
        portion, said = found
        words.append(said)
    assert words == ["1 problems at once (were 2)", "1 eval points at once (were 3)"]


@pytest.mark.parametrize("words", [TRAINED, SOLVED])
def test_a_budget_below_what_one_trial_takes_is_said_by_plan_and_sweep(words, sweep, capsys):
    for command in ("plan", "sweep"):
        assert main([command, sweep, *words, "seed=0", "pack.memory_gib=0.00001", "out=here"]) == 0
        said = [line for line in capsys.readouterr().err.splitlines() if "pack.memory_gib=1e-05" in line]
        assert len(said) == 1
        assert "take" in said[0]
        assert "MiB too much" in said[0]
    assert main(["plan", sweep, *words, "seed=0"]) == 0
    assert capsys.readouterr().err == ""


def test_a_plan_beyond_the_host_is_one_clear_line(sweep, monkeypatch, capsys):
    monkeypatch.setattr(ddlab.commands.planning, "make_trials", lambda *_: np.zeros(2**58))
    assert main(["plan", sweep, *TRAINED]) == 2
    assert capsys.readouterr().err.startswith("ddlab: this machine's memory does not do for it (Unable to allocate 2.00 EiB")
