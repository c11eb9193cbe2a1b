"""The exact solver against NumPy's least squares, ridge regression by its normal equations, and training."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from tests.exact import EXACT, GAUSSIAN, INTERVAL, SPHERE, features_of, solve, solve_widths, start_of
from tests.support import leaves_of, run_trials

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("fast_packs", "float64")]

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
    y, n = dataset.train.targets, len(x)
    for k, penalty in enumerate(penalties):
        w = np.linalg.solve(x.T @ x + n * penalty * np.eye(x.shape[1]), x.T @ y) if penalty else np.linalg.lstsq(x, y)[0]
        risk = np.mean((test_x @ w - dataset.test.targets) ** 2)
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
        assert metrics["excess_risk"][k, 0] == pytest.approx(np.mean(dataset.test.targets**2))
    values = np.linalg.svd(x, compute_uv=False)
    np.testing.assert_allclose(metrics["smallest_singular_value"][0], values[-1], rtol=1e-6)
    np.testing.assert_allclose(metrics["condition_number"][0], values[0] / values[-1], rtol=1e-6)


def test_classes_are_one_hot_targets():
    base = leaves_of(
        *EXACT, "data=digits", "model=random_features", "model.width=80", "data.num_train=100", "data.label_noise=0.1"
    )
    metrics = solve([base])
    x, test_x, dataset = features_of(base)
    outputs = [features @ np.linalg.lstsq(x, np.eye(10)[dataset.train.targets])[0] for features in (x, test_x)]
    for split, output, targets in zip(("train", "test"), outputs, (dataset.train.targets, dataset.test.targets), strict=True):
        assert metrics[f"{split}_loss"][0, 1] == pytest.approx(np.mean((output - np.eye(10)[targets]) ** 2), rel=1e-6)
        assert metrics[f"{split}_error"][0, 1] == pytest.approx(np.mean(output.argmax(1) != targets), abs=1e-12)
    assert "excess_risk" not in metrics


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
    w = np.linalg.lstsq(x, dataset.train.targets, rcond=0.25)[0]
    assert np.linalg.matrix_rank(x, tol=0.25 * np.linalg.norm(x, 2)) < 20
    assert metrics["excess_risk"][0, 1] == pytest.approx(np.mean((test_x @ w - dataset.test.targets) ** 2), rel=1e-9)


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
        hessian, pull = x.T @ x / 40, x.T @ np.eye(10)[dataset.train.targets] / 40
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
        error = np.mean((test_x @ solution).argmax(axis=1) != dataset.test.targets)
        assert together["test_error"][k, 0, -1] == pytest.approx(error, abs=1e-12)
        assert together["weight_norm"][k, 0, -1] == pytest.approx(np.linalg.norm(solution), rel=1e-7)
        loss = np.mean((test_x @ solution - np.eye(10)[dataset.test.targets]) ** 2)
        assert together["test_loss"][k, 0, -1] == pytest.approx(loss, rel=1e-7)


@pytest.mark.parametrize("n", [15, 40])
def test_polynomials_are_fitted_as_well_as_by_least_squares_and_whatever_their_pack(n):
    """n = p: a condition of 1e7 at least, so that half of the digits would not do."""
    base = leaves_of(*INTERVAL, f"model.width={n}", f"data.num_train={n}")
    x, _, dataset = features_of(base)
    condition = np.linalg.cond(x)
    assert condition > 1e5
    norm = np.linalg.norm(np.linalg.lstsq(x, dataset.train.targets, rcond=1e-15)[0])
    alone, packed = solve([base]), solve([base], {**base, "model.width": n + 30})
    for metrics in (alone, packed):
        assert metrics["degrees_of_freedom"][0, 1] == pytest.approx(n)
        assert metrics["condition_number"][0, 0] == pytest.approx(condition, rel=1e-14 * condition)
        assert metrics["weight_norm"][0, 1] == pytest.approx(norm, rel=1e-14 * condition)


TRAINED = ("train.dtype=float64", "train.loss=mse", "train.batch_size=null", "train.steps=200", "train.num_evals=12")


@pytest.mark.parametrize(("problem", "weight_decay"), [((*GAUSSIAN, "model.width=30"), 0.05), ((*SPHERE, "model.width=9"), 0.0)])
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
