"""The closed forms of `ddlab.theory` as functions of stored trials, for figures and claims."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ddlab import theory
from ddlab.errors import ConfigError, suggest

Columns = Mapping[str, np.ndarray]

# What theories assume of the trials: column -> its one value.
GAUSSIAN, SPHERE = "ddlab.data.Gaussian", "ddlab.data.Sphere"
LINEAR, RANDOM_FEATURES = "ddlab.models.Linear", "ddlab.models.RandomFeatures"
RIDGE, FLOW = "ddlab.optimizers.Ridge", "ddlab.optimizers.GradientFlow"
OF_LINEAR = {
    "data._target_": GAUSSIAN,
    "model._target_": LINEAR,
    "data.eigenvalues": None,
    "data.test_cutoff": 0.0,
    "optimizer.cutoff": 0.0,
}
LEAST_SQUARES = {**OF_LINEAR, "optimizer._target_": RIDGE, "model.init_scale": 0.0}


def _assume(name: str, rows: Columns, wanted: Mapping[str, Any]) -> None:
    """Raise `ConfigError` where a column has not the one value that a theory assumes."""
    for key, value in wanted.items():
        found = next((other for other in rows[key] if other != value and not (value is None and pd.isna(other))), value)
        if found is not value:
            raise ConfigError(f"theory={name}: assumes {key}={'null' if value is None else value}; there are trials with {found}")


def _seen(name: str, rows: Columns) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return signal that the first p features carry, noise that the rest adds to that of the targets, and signal of the rest.

    The target depends on the first R of the features with a coefficient of random direction; R is all where it is not given.
    """
    _assume(name, rows, LEAST_SQUARES)
    everything = rows["data.num_features"]
    relevant = np.where(pd.isna(rows["data.num_relevant"]), everything, rows["data.num_relevant"]).astype(float)
    share = np.minimum(1.0, rows["model.width"] / relevant)
    rest = rows["data.signal"] * (1 - share)
    return rows["data.signal"] * share, rows["data.noise_variance"] + rest, rest


def _ridgeless(rows: Columns) -> np.ndarray:
    _assume("ridgeless", rows, {"optimizer.weight_decay": 0.0})
    signal, noise, rest = _seen("ridgeless", rows)
    return theory.ridgeless_exact(rows["model.width"], rows["num_train"], signal, noise) + rest


def _ridge(rows: Columns) -> np.ndarray:
    signal, noise, rest = _seen("ridge", rows)
    return theory.ridge(rows["model.width"] / rows["num_train"], rows["optimizer.weight_decay"], signal, noise) + rest


def _optimal_ridge(rows: Columns) -> np.ndarray:
    signal, noise, rest = _seen("optimal_ridge", rows)
    g = rows["model.width"] / rows["num_train"]
    return theory.ridge(g, theory.optimal_ridge(g, signal, noise), signal, noise) + rest


def _misspecified(rows: Columns) -> np.ndarray:
    _assume("misspecified", rows, {**LEAST_SQUARES, "data.num_relevant": None, "optimizer.weight_decay": 0.0})
    sizes = rows["model.width"], rows["num_train"], rows["data.num_features"]
    return theory.misspecified_exact(*sizes, rows["data.signal"], rows["data.noise_variance"]) - rows["data.noise_variance"]


def _random_features(rows: Columns) -> np.ndarray:
    activation = str(rows.get("model.activation", [None])[0])
    components = {"data._target_": SPHERE, "model._target_": RANDOM_FEATURES, "optimizer._target_": RIDGE}
    kept = {"data.function": "linear", "model.bandwidth": 1.0, "model.activation": activation}
    _assume("random_features", rows, {**components, **kept, "model.init_scale": 0.0, "optimizer.cutoff": 0.0})
    if activation not in theory.MOMENTS:
        raise ConfigError(f"theory=random_features: is known for model.activation {', '.join(theory.MOMENTS)}, not {activation}")
    d = rows["data.num_features"]
    # Features here are divided by sqrt(p), so that their penalty is lam / d.
    lam = rows["optimizer.weight_decay"] * d
    sizes = rows["model.width"] / d, rows["num_train"] / d
    return theory.random_features(*sizes, lam, rows["data.signal"], rows["data.noise_variance"], activation)


def _training_time(rows: Columns) -> np.ndarray:
    fixed = {"optimizer._target_": FLOW, "optimizer.weight_decay": 0.0, "data.num_relevant": None}
    _assume("training_time", rows, {**OF_LINEAR, **fixed})
    if (rows["model.width"] != rows["data.num_features"]).any():
        raise ConfigError("theory=training_time: assumes model.width=data.num_features")
    if (rows["step"] > rows["last_step"]).any():
        raise ConfigError("theory=training_time: is of trials that go on; some have stopped early")
    # Theirs: eigenvalues of X'X, inputs of variance 1/N. Here: the loss is a mean over examples, inputs have variance 1.
    alpha = rows["num_train"] / rows["model.width"]
    time = 2 * rows["optimizer.learning_rate"] * rows["step"] / alpha
    noise = rows["data.noise_variance"]
    return theory.training_time(time, alpha, rows["data.signal"], noise, rows["model.init_scale"] ** 2) - noise


# Name -> (excess risk as a function of columns of the trials and curves, paper).
THEORIES: dict[str, tuple[Callable[[Columns], np.ndarray], str]] = {
    "ridgeless": (_ridgeless, "the exact risk (its limit: Hastie et al. 2022)"),
    "ridge": (_ridge, "Hastie et al. 2022"),
    "optimal_ridge": (_optimal_ridge, "Nakkiran et al. 2021"),
    "misspecified": (_misspecified, "Belkin, Hsu, Xu 2020"),
    "random_features": (_random_features, "Mei, Montanari 2022"),
    "training_time": (_training_time, "Advani, Saxe, Sompolinsky 2020"),
}


def deviation(simulated: pd.Series, theory: pd.Series, quantile: float) -> float:
    """Return a quantile of |simulated / theory - 1| over the points at which the theory is finite and not 0; nan: nowhere."""
    values = theory.to_numpy(float)
    defined = np.isfinite(values) & (values != 0)
    return float((simulated[defined] / theory[defined] - 1).abs().quantile(quantile))


def check_theory(option: str, name: str, metric: str, best_over: str | None) -> None:
    """Raise `ConfigError` for a theory that does not exist, a metric that none predicts, or an optimum that is not looked for."""
    if name not in THEORIES:
        raise ConfigError(f"{option}={name}: no such theory. {suggest(name, THEORIES)}".rstrip())
    if metric not in ("excess_risk", "test_loss"):
        raise ConfigError(f"{option}={name}: predicts excess_risk and test_loss, not {metric}")
    if name == "optimal_ridge" and best_over != "optimizer.weight_decay":
        raise ConfigError(f"{option}=optimal_ridge: is the risk at the best penalty; needs best_over: optimizer.weight_decay")


def predicted(name: str, metric: str, rows: pd.DataFrame) -> np.ndarray:
    """Return what a theory says of a metric, excess_risk or test_loss, for each row of a frame of trials (and steps).

    Raises:
        ConfigError: the rows have not the columns that the theory is a function of.
    """
    function, _ = THEORIES[name]
    columns = {str(column): rows[column].to_numpy() for column in rows}
    try:
        excess = function(columns)
    except KeyError as error:
        raise ConfigError(f"theory={name}: the trials have no {error.args[0]}") from error
    return excess + columns["data.noise_variance"] if metric == "test_loss" else excess


def predicted_at(name: str, metric: str, rows: pd.DataFrame, by: Sequence[str]) -> np.ndarray:
    """Return what `predicted` does for rows that differ in seeds alone where they agree in `by` and in their last step.

    It is computed once for all of these: what takes a numerical integral need not be done for every seed.
    """
    point = rows.groupby([*by, "last_step"], dropna=False, sort=False).ngroup().to_numpy()
    _, first = np.unique(point, return_index=True)
    return predicted(name, metric, rows.iloc[first])[point]
