"""The exact solver against NumPy's least squares, ridge regression by its normal equations, and training."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache

import jax
import numpy as np
import pytest
import scipy.linalg

from ddlab.config.trial import build, hyper_keys, train_settings
from ddlab.data.loader import Loader
from ddlab.errors import ConfigError
from ddlab.measures import Measure
from ddlab.measures.points import due_steps, eval_steps
from ddlab.models import Init
from ddlab.solving.compiled import compile_solver, one_thread_a_device
from ddlab.solving.modes import BLOCK, GRAM_CONDITION, inverse, nested
from ddlab.solving.problem import make_problem
from ddlab.solving.solver import make_solver
from tests.support import leaves_of, run_trials, words_of

pytestmark = pytest.mark.numeric

EXACT = ("train=exact", "measures=exact", "optimizer=ridge")
GAUSSIAN = (*EXACT, "data=gaussian", "model=linear", "data.num_train=20", "data.num_features=40", "data.noise_variance=0.1")
SPHERE = (*EXACT, "data=sphere", "model=random_features", "data.num_train=20", "data.num_features=6", "data.num_test=30")
INTERVAL = (*EXACT, "data=interval", "model=legendre", "data.num_test=30", "data.noise_variance=0.1")


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


@cache
def solver_of(leaves, spec):
    return jax.jit(make_solver(dict(leaves), spec))


def solve(trials, widest=None):
    """Return the metrics of trials of one problem and one width, name -> [L, E]."""
    return {name: values[0] for name, values in solve_widths([trials], widest or trials[0]).items()}


def solve_widths(trials, widest):
    """Return the metrics of the trials of one problem at several widths, name -> [W, L, E]."""
    flat = list(itertools.chain(*trials))
    datasets = Loader().load(flat)
    solver = solver_of(tuple(widest.items()), datasets[0].spec)
    problem = make_problem(flat, datasets, hyper_keys(widest), len(trials))
    return {name: np.asarray(x) for name, x in solver(problem).items()}


def network_of(leaves, spec):
    return build(leaves, "model").make(spec, Init(words_of(leaves["seed"]), dtype=np.float64))


def start_of(leaves, spec):
    """Return the initial readout of a trial."""
    return np.asarray(jax.jit(lambda: network_of(leaves, spec).readout[...])())


def features_of(leaves):
    """Return (training features, test features, data set) of a trial, from its network."""
    dataset = Loader().load([leaves])[0]

    @jax.jit
    def features(*inputs):
        return [network_of(leaves, dataset.spec).features(x) for x in inputs]

    return *map(np.asarray, features(dataset.train_inputs.astype(float), dataset.test_inputs.astype(float))), dataset


CASES = {
    "linear, fewer features": (*GAUSSIAN, "model.width=12"),
    "linear, as many": (*GAUSSIAN, "model.width=20"),
    "linear, more": (*GAUSSIAN, "model.width=33"),
    "relu": (*SPHERE, "model.width=50"),
    "erf": (*SPHERE, "model.width=15", "model.activation=erf", "model.weights=sphere"),
    "fourier": (*SPHERE, "model.width=25", "model.activation=fourier", "model.bandwidth=0.7"),
    "legendre": (*INTERVAL, "model.width=10", "data.num_train=15"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_whole_ridge_path_is_that_of_the_normal_equations(case):
    base = leaves_of(*CASES[case])
    penalties = [0.0, 1e-3, 0.1, 3.0]
    metrics = solve([{**base, "optimizer.weight_decay": penalty} for penalty in penalties])
    x, test_x, dataset = features_of(base)
    y, n = dataset.train_targets, len(x)
    for k, penalty in enumerate(penalties):
        w = np.linalg.solve(x.T @ x + n * penalty * np.eye(x.shape[1]), x.T @ y) if penalty else np.linalg.lstsq(x, y)[0]
        risk = np.mean((test_x @ w - dataset.test_targets) ** 2)
        expected = {
            "train_loss": np.mean((x @ w - y) ** 2),
            "excess_risk": risk,
            "test_loss": risk + dataset.noise_variance,
            "weight_norm": np.linalg.norm(w),
            "degrees_of_freedom": np.trace(x @ np.linalg.pinv(x.T @ x + n * penalty * np.eye(x.shape[1])) @ x.T),
        }
        for name, value in expected.items():
            # Squaring X squares its condition, up to 1e4 here.
            np.testing.assert_allclose(metrics[name][k, 1], value, rtol=1e-6, atol=1e-13, err_msg=f"{name} at {penalty}")
        assert metrics["excess_risk"][k, 0] == pytest.approx(np.mean(dataset.test_targets**2))
    values = np.linalg.svd(x, compute_uv=False)
    np.testing.assert_allclose(metrics["smallest_singular_value"][0], values[-1], rtol=1e-6)
    np.testing.assert_allclose(metrics["condition_number"][0], values[0] / values[-1], rtol=1e-6)


def test_classes_are_one_hot_targets():
    base = leaves_of(
        *EXACT, "data=digits", "model=random_features", "model.width=80", "data.num_train=100", "data.label_noise=0.1"
    )
    metrics = solve([base])
    x, test_x, dataset = features_of(base)
    outputs = [features @ np.linalg.lstsq(x, np.eye(10)[dataset.train_targets])[0] for features in (x, test_x)]
    for split, output, targets in zip(("train", "test"), outputs, (dataset.train_targets, dataset.test_targets), strict=True):
        assert metrics[f"{split}_loss"][0, 1] == pytest.approx(np.mean((output - np.eye(10)[targets]) ** 2), rel=1e-6)
        assert metrics[f"{split}_error"][0, 1] == pytest.approx(np.mean(output.argmax(1) != targets), abs=1e-12)
    assert "excess_risk" not in metrics


@dataclass(frozen=True)
class Clash(Measure):
    def __call__(self, snapshot):
        return {"train_loss": snapshot.learning_rate}


def test_a_measure_must_not_take_the_name_of_another_column():
    base = leaves_of(*GAUSSIAN, "model.width=12", "+measures.clash._target_=tests.test_exact.Clash")
    with pytest.raises(ConfigError, match="measures: Clash gives train_loss, which is another column's name"):
        solve([base])


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


def test_noise_variance_is_what_redrawing_the_noise_gives():
    base = leaves_of(
        *GAUSSIAN,
        "model.width=12",
        "optimizer.weight_decay=0.05",
        "+measures.noise._target_=ddlab.measures.NoiseVariance",
    )
    metrics = solve([base])
    x, test_x, _dataset = features_of(base)
    fit = np.linalg.solve(x.T @ x + len(x) * 0.05 * np.eye(12), x.T)
    expected = 0.1 * np.mean(np.square(test_x @ fit).sum(axis=1))  # E over e of mean (test_x fit e)^2
    assert metrics["variance_noise"][0, 1] == pytest.approx(expected, rel=1e-9)
    assert metrics["variance_noise"][0, 0] == 0


def test_the_cutoff_leaves_small_singular_values_out():
    base = leaves_of(*GAUSSIAN, "model.width=20", "optimizer.cutoff=0.25")
    metrics = solve([base])
    x, test_x, dataset = features_of(base)
    w = np.linalg.lstsq(x, dataset.train_targets, rcond=0.25)[0]
    assert np.linalg.matrix_rank(x, tol=0.25 * np.linalg.norm(x, 2)) < 20
    assert metrics["excess_risk"][0, 1] == pytest.approx(np.mean((test_x @ w - dataset.test_targets) ** 2), rel=1e-9)


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
        for width in (1, 7, 20, 35, 35, most)
    ]
    together = solve_widths(trials, trials[-1][0])
    for k, at_width in enumerate(trials):
        for name, value in solve(at_width).items():
            np.testing.assert_allclose(together[name][k], value, rtol=1e-7, atol=1e-11, err_msg=f"{name} at {k}")
    assert len(np.unique(together["excess_risk"][:, 0, 1])) == 5


@pytest.mark.parametrize("optimizer", ["ridge", "gradient_flow", "gradient_descent"])
def test_widths_with_dead_features_are_those_of_numpy(optimizer):
    """Linear on digits, ten classes: pixels that are always zero, so that some widths are rank-deficient and others are not."""
    rate = () if optimizer == "ridge" else ("optimizer.learning_rate=0.01", "train.steps=50")
    words = ("data=digits", "model=linear", "data.num_train=40", "model.init_scale=0.5", "optimizer.weight_decay=0.1")
    base = leaves_of(*EXACT[:2], *words, f"optimizer={optimizer}", *rate)
    widths = (2, 5, 12, 30, 45, 64)
    together = solve_widths([[{**base, "model.width": width}] for width in widths], {**base, "model.width": 64})
    assert (together["condition_number"][:, 0, -1] > 0).all()
    for k, width in enumerate(widths):
        x, test_x, dataset = features_of({**base, "model.width": width})
        start = start_of({**base, "model.width": width}, dataset.spec)
        hessian, pull = x.T @ x / 40, x.T @ np.eye(10)[dataset.train_targets] / 40
        if optimizer != "ridge":
            hessian, pull = 2 / 10 * hessian, 2 / 10 * pull
        hessian = hessian + 0.1 * np.eye(width)
        goal = np.linalg.solve(hessian, pull)
        kept = {
            "ridge": np.zeros((width, width)),
            "gradient_flow": scipy.linalg.expm(-0.01 * 50 * hessian),
            "gradient_descent": np.linalg.matrix_power(np.eye(width) - 0.01 * hessian, 50),
        }[optimizer]
        solution = goal + kept @ (start - goal)
        error = np.mean((test_x @ solution).argmax(axis=1) != dataset.test_targets)
        assert together["test_error"][k, 0, -1] == pytest.approx(error, abs=1e-12)
        assert together["weight_norm"][k, 0, -1] == pytest.approx(np.linalg.norm(solution), rel=1e-7)
        loss = np.mean((test_x @ solution - np.eye(10)[dataset.test_targets]) ** 2)
        assert together["test_loss"][k, 0, -1] == pytest.approx(loss, rel=1e-7)


def test_a_batch_of_problems_is_solved_as_one_alone():
    """As on an accelerator, where both ways to modes are computed and one is taken."""
    base = leaves_of(*GAUSSIAN, "model.width=40")
    trials = [{**base, "model.width": width} for width in (10, 20, 40)]
    datasets = Loader().load(trials)
    problem = make_problem(trials, datasets, hyper_keys(base), 3)
    solve = make_solver(base, datasets[0].spec)
    batched = jax.jit(jax.vmap(solve))(jax.tree.map(lambda array: np.asarray(array)[None], problem))
    for name, value in jax.jit(solve)(problem).items():
        np.testing.assert_allclose(batched[name][0], value, rtol=1e-9, atol=1e-13, err_msg=name)


def test_widths_that_do_not_ascend_are_refused():
    base = leaves_of(*GAUSSIAN, "model.width=40")
    trials = [{**base, "model.width": width} for width in (20, 10)]
    with pytest.raises(ValueError, match="must ascend"):
        make_problem(trials, Loader().load(trials), hyper_keys(base), 2)


def test_features_are_nested_in_their_number():
    narrow, wide = (features_of(leaves_of(*SPHERE, f"model.width={width}"))[0] * width**0.5 for width in (10, 25))
    np.testing.assert_allclose(narrow, wide[:, :10], rtol=1e-12)


def test_trials_of_other_targets_share_a_problem():
    base = leaves_of(*GAUSSIAN, "model.width=30")
    trials = [{**base, "data.noise_variance": s2, "data.signal": r2} for s2, r2 in [(0.1, 1.0), (0.0, 1.0), (0.5, 3.0)]]
    together = solve(trials)
    for k, trial in enumerate(trials):
        for name, value in solve([trial]).items():
            np.testing.assert_allclose(together[name][k], value[0], rtol=1e-9, atol=1e-13, err_msg=name)
    np.testing.assert_allclose(together["test_loss"] - together["excess_risk"], [[0.1] * 2, [0.0] * 2, [0.5] * 2], atol=1e-9)


@pytest.mark.parametrize("shape", [(60, 60), (60, 90), (90, 60)])
@pytest.mark.parametrize("condition", [1e2, 1e5, 1e10])
def test_the_modes_are_the_singular_value_decomposition_at_any_condition(shape, condition):
    """Below GRAM_CONDITION squared singular values are right to eps cond^2 = 1e-8, above the svd's own to eps cond."""
    random = np.random.default_rng(0)
    left, right = (np.linalg.qr(random.normal(size=(size, 60)))[0] for size in shape)
    values = np.geomspace(1, 1 / condition, 60)
    x = left * values @ right.T
    y = np.ones((shape[0], 1))

    @jax.jit
    def modes_of(columns, width, scale):
        begin, step = nested(columns)
        return step(begin, width, scale)[1]

    scale = np.full(shape[1], 0.5)
    modes = modes_of(x / scale, np.int32(shape[1]), scale)
    tolerance = 1e-7 if condition < GRAM_CONDITION else 1e-14 * condition
    np.testing.assert_allclose(modes.values, values, rtol=tolerance)
    np.testing.assert_allclose(modes.left * modes.values @ modes.along_right(np.eye(60)).T, x, atol=1e-12)
    solution = modes.along_right(inverse(modes.values)[:, None] * (modes.left.T @ y))
    expected = right / values @ (left.T @ y)
    np.testing.assert_allclose(solution, expected, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("n", [15, 40])
def test_polynomials_are_fitted_as_well_as_by_least_squares_and_whatever_their_pack(n):
    """n = p: a condition of 1e7 at least, so that half of the digits would not do."""
    base = leaves_of(*INTERVAL, f"model.width={n}", f"data.num_train={n}")
    x, _, dataset = features_of(base)
    condition = np.linalg.cond(x)
    assert condition > 1e5
    norm = np.linalg.norm(np.linalg.lstsq(x, dataset.train_targets, rcond=1e-15)[0])
    alone, packed = solve([base]), solve([base], {**base, "model.width": n + 30})
    for metrics in (alone, packed):
        assert metrics["degrees_of_freedom"][0, 1] == pytest.approx(n)
        assert metrics["condition_number"][0, 0] == pytest.approx(condition, rel=1e-14 * condition)
        assert metrics["weight_norm"][0, 1] == pytest.approx(norm, rel=1e-14 * condition)


TRAINED = ("train.dtype=float64", "train.loss=mse", "train.batch_size=null", "train.steps=200", "train.num_evals=12")


@pytest.mark.parametrize("weight_decay", [0.0, 0.05])
@pytest.mark.parametrize("problem", [(*GAUSSIAN, "model.width=30"), (*SPHERE, "model.width=9")])
def test_gradient_descent_that_is_trained_takes_the_exact_trajectory(problem, weight_decay):
    common = ("model.init_scale=0.7", f"optimizer.weight_decay={weight_decay}", "optimizer.learning_rate=0.1", *TRAINED)
    exact = solve([leaves_of(*problem, "optimizer=gradient_descent", *common)])
    sgd = leaves_of(
        *problem, "optimizer=sgd", "optimizer.momentum=0.0", *common, "measures=default", "train.matmul_precision=highest"
    )
    _, trained, _, _ = run_trials([sgd])
    assert trained["train_loss"][-1, 0] < 0.6 * trained["train_loss"][0, 0]
    for name in ("train_loss", "test_loss", "excess_risk", "weight_norm"):
        np.testing.assert_allclose(exact[name][0], trained[name][:, 0], rtol=1e-9, err_msg=name)


def test_several_problems_on_several_devices_are_each_one_alone():
    base = leaves_of(*GAUSSIAN, "model.width=25")
    trials = [{**base, "seed": seed, "data.seed": seed, "data.noise_seed": seed, "data.target_seed": seed} for seed in range(5)]
    problems = [make_problem([trial], Loader().load([trial]), hyper_keys(base)) for trial in trials]
    solver = compile_solver(make_solver(base, Loader().load([base])[0].spec), problems[0], 5, 3)
    assert solver.num_problems == 6
    with one_thread_a_device():
        together = {name: np.asarray(array)[:5] for name, array in solver.solve(problems).items()}
    for k, trial in enumerate(trials):
        for name, value in solve([trial]).items():
            np.testing.assert_allclose(together[name][k, 0], value, rtol=1e-9, atol=1e-13, err_msg=name)
    assert len(np.unique(together["excess_risk"][:, 0, 0, 1])) == 5
