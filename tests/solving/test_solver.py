"""The exact solver: packed against alone, in any batch, and its measures."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from ddlab.config.trial import parse, train_settings
from ddlab.data.loader import Loader
from ddlab.measures.points import due_steps, eval_steps
from ddlab.solving.compiled import compile_solver, one_thread_a_device
from ddlab.solving.modes import BLOCK
from ddlab.solving.problem import make_problem
from ddlab.solving.solver import make_solver
from tests.exact import GAUSSIAN, SPHERE, solve, solve_widths
from tests.support import leaves_of

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("float64")]


def test_a_measure_of_the_solver_is_nan_where_it_is_not_due():
    flow = (*GAUSSIAN, "optimizer=gradient_flow", "optimizer.learning_rate=0.1", "model.width=12", "train.num_evals=6")
    trials = [leaves_of(*flow, "train.steps=50", f"measures.weight_norm.every={every}") for every in (1, 4)]
    always, rare = (solve([trial]) for trial in trials)
    train = train_settings(trials[1])
    due = np.isin(eval_steps(train), due_steps(train, 4))
    assert not due.all()
    assert np.isnan(rare["weight_norm"][0, ~due]).all()
    np.testing.assert_array_equal(rare["weight_norm"][0, due], always["weight_norm"][0, due])
    np.testing.assert_array_equal(rare["test_loss"], always["test_loss"])


@pytest.mark.parametrize("width", [5, 20, 39])
def test_a_padded_problem_is_the_problem_alone(width):
    base = leaves_of(*GAUSSIAN, "model.init_scale=0.5", "optimizer.weight_decay=0.01")
    widest, trial = {**base, "model.width": 40}, {**base, "model.width": width}
    for name, value in solve([trial]).items():
        np.testing.assert_allclose(solve([trial], widest)[name], value, rtol=1e-8, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("case", [(*SPHERE, "data.num_train=80"), SPHERE])
def test_the_widths_of_a_problem_are_each_one_alone(case):
    """Widths on both sides of N and of a block of columns, one of them twice."""
    base = leaves_of(*case, "measures=exact", "+measures.noise._target_=ddlab.measures.NoiseVariance")
    most = BLOCK + 10
    trials = [
        [{**base, "model.width": width, "optimizer.weight_decay": penalty} for penalty in (0.0, 0.1)]
        for width in (1, 20, 35, 35, most)
    ]
    together = solve_widths(trials, trials[-1][0])
    for k, at_width in enumerate(trials):
        for name, value in solve(at_width).items():
            np.testing.assert_allclose(together[name][k], value, rtol=1e-7, atol=1e-11, err_msg=f"{name} at {k}")
    assert len(np.unique(together["excess_risk"][:, 0, 1])) == 4


def test_a_batch_of_problems_is_solved_as_one_alone():
    """As on an accelerator, where both ways to modes are computed and one is taken."""
    base = leaves_of(*GAUSSIAN, "model.width=40")
    trials = [{**base, "model.width": width} for width in (10, 20, 40)]
    datasets = Loader().load(trials)
    problem = make_problem(trials, datasets, 3)
    solve = make_solver(parse(base), datasets[0].spec)
    batched = jax.jit(jax.vmap(solve))(jax.tree.map(lambda array: np.asarray(array)[None], problem))
    for name, value in jax.jit(solve)(problem).items():
        np.testing.assert_allclose(batched[name][0], value, rtol=1e-9, atol=1e-13, err_msg=name)


def test_widths_that_do_not_ascend_are_refused():
    base = leaves_of(*GAUSSIAN, "model.width=40")
    trials = [{**base, "model.width": width} for width in (20, 10)]
    with pytest.raises(ValueError, match="must ascend"):
        make_problem(trials, Loader().load(trials), 2)


def test_trials_of_other_targets_share_a_problem():
    base = leaves_of(*GAUSSIAN, "model.width=30")
    trials = [{**base, "data.noise_variance": s2, "data.signal": r2} for s2, r2 in [(0.1, 1.0), (0.0, 1.0), (0.5, 3.0)]]
    together = solve(trials)
    for k, trial in enumerate(trials):
        for name, value in solve([trial]).items():
            np.testing.assert_allclose(together[name][k], value[0], rtol=1e-9, atol=1e-13, err_msg=name)
    np.testing.assert_allclose(together["test_loss"] - together["excess_risk"], [[0.1] * 2, [0.0] * 2, [0.5] * 2], atol=1e-9)


def test_several_problems_on_several_devices_are_each_one_alone():
    base = leaves_of(*GAUSSIAN, "model.width=25")
    trials = [{**base, "seed": seed, "data.seed": seed, "data.noise_seed": seed, "data.target_seed": seed} for seed in range(5)]
    problems = [make_problem([trial], Loader().load([trial])) for trial in trials]
    solver = compile_solver(make_solver(parse(base), Loader().load([base])[0].spec), problems[0], 5, 3)
    assert solver.num_problems == 6
    with one_thread_a_device():
        together = {name: np.asarray(array)[:5] for name, array in solver.solve(problems).items()}
    for k, trial in enumerate(trials):
        for name, value in solve([trial]).items():
            np.testing.assert_allclose(together[name][k, 0], value, rtol=1e-9, atol=1e-13, err_msg=name)
    assert len(np.unique(together["excess_risk"][:, 0, 0, 1])) == 5
