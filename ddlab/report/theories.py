"""The closed forms of `ddlab.theory` as functions of stored trials, for figures and claims."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ddlab import theory
from ddlab.errors import ConfigError, suggest

Columns = Mapping[str, np.ndarray]
Prediction = Callable[[Columns], np.ndarray]

# What theories assume of the trials: column -> its one value.
GAUSSIAN, SPHERE = "ddlab.data.Gaussian", "ddlab.data.Sphere"
LINEAR, RANDOM_FEATURES = "ddlab.models.Linear", "ddlab.models.RandomFeatures"
RIDGE, FLOW = "ddlab.optimizers.Ridge", "ddlab.optimizers.GradientFlow"
OF_LINEAR = {
    "data._target_": GAUSSIAN,
    "model._target_": LINEAR,
    "data.eigenvalues": None,
    "data.coefficients": None,
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


def _assume_flow(name: str, rows: Columns, wanted: Mapping[str, Any]) -> None:
    """Raise `ConfigError` where trials are not of gradient flow of a linear model on all features, or not as wanted."""
    _assume(name, rows, {**OF_LINEAR, "optimizer._target_": FLOW, "data.num_relevant": None, **wanted})
    if (rows["model.width"] != rows["data.num_features"]).any():
        raise ConfigError(f"theory={name}: assumes model.width=data.num_features")


def _time(rows: Columns) -> np.ndarray:
    """Return learning rate x steps; a trial that has stopped keeps its last value."""
    return rows["optimizer.learning_rate"] * np.minimum(rows["step"], rows["last_step"])


def _training_time(rows: Columns) -> np.ndarray:
    _assume_flow("training_time", rows, {"optimizer.weight_decay": 0.0})
    # Theirs: eigenvalues of X'X, inputs of variance 1/N. Here: the loss is a mean over examples, inputs have variance 1.
    alpha = rows["num_train"] / rows["model.width"]
    noise = rows["data.noise_variance"]
    initial = rows["model.init_scale"] ** 2
    return theory.training_time(2 * _time(rows) / alpha, alpha, rows["data.signal"], noise, initial) - noise


def _levi(loss: Callable[..., np.ndarray]) -> Prediction:
    def predict(rows: Columns) -> np.ndarray:
        _assume_flow("levi", rows, {"optimizer.weight_decay": 0.0, "data.noise_variance": 0.0})
        distance = rows["data.signal"] + rows["model.init_scale"] ** 2
        return loss(_time(rows), rows["model.width"] / rows["num_train"], distance)

    return predict


def _ridge_grokking(loss: Callable[..., np.ndarray]) -> Prediction:
    """Return what predicts a loss of given eigenvalues, with those of the limit of many features."""

    def at(t: np.ndarray, lam: np.ndarray, p: np.ndarray, n: np.ndarray, variance: np.ndarray) -> np.ndarray:
        eigenvalues, weights = theory.marchenko_pastur(p / n)
        return loss(t, lam, eigenvalues, variance, p[:, None] * weights)

    def predict(rows: Columns) -> np.ndarray:
        _assume_flow("ridge_grokking", rows, {"data.signal": 0.0, "data.noise_variance": 0.0})
        p, lam = rows["model.width"], rows["optimizer.weight_decay"] / 2
        # Theirs is half of the loss here: the same flow, with half the penalty, in twice the time.
        return theory.in_blocks(at, 2 * _time(rows), lam, p, rows["num_train"], rows["model.init_scale"] ** 2 / p)

    return predict


class Theory(NamedTuple):
    """A closed form.

    Attributes:
        metrics: what it predicts: a column of the curves -> a function of columns of the trials and curves.
        paper: where it is from.
        best_over: the column of the trials at whose best value it is; None: at every one.
    """

    metrics: Mapping[str, Prediction]
    paper: str
    best_over: str | None = None


def _risks(excess: Prediction) -> Mapping[str, Prediction]:
    return {"excess_risk": excess, "test_loss": lambda rows: excess(rows) + rows["data.noise_variance"]}


def _losses(
    make: Callable[[Callable[..., np.ndarray]], Prediction], train: Callable[..., np.ndarray], test: Callable[..., np.ndarray]
) -> Mapping[str, Prediction]:
    return {"train_loss": make(train), **_risks(make(test))}


THEORIES: dict[str, Theory] = {
    "ridgeless": Theory(_risks(_ridgeless), "the exact risk (its limit: Hastie et al. 2022)"),
    "ridge": Theory(_risks(_ridge), "Hastie et al. 2022"),
    "optimal_ridge": Theory(_risks(_optimal_ridge), "Nakkiran et al. 2021", best_over="optimizer.weight_decay"),
    "misspecified": Theory(_risks(_misspecified), "Belkin, Hsu, Xu 2020"),
    "random_features": Theory(_risks(_random_features), "Mei, Montanari 2022"),
    "training_time": Theory(_risks(_training_time), "Advani, Saxe, Sompolinsky 2020"),
    "levi": Theory(_losses(_levi, theory.levi_train_loss, theory.levi_test_loss), "Levi, Beck, Bar-Sinai 2023"),
    "ridge_grokking": Theory(
        _losses(_ridge_grokking, theory.ridge_grokking_train_loss, theory.ridge_grokking_test_loss), "Xu, Vardi, Safran 2026"
    ),
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
    found = THEORIES[name]
    if metric not in found.metrics:
        raise ConfigError(f"{option}={name}: predicts {', '.join(found.metrics)}, not {metric}")
    if found.best_over not in (None, best_over):
        raise ConfigError(f"{option}={name}: is of the best {found.best_over}; needs best_over: {found.best_over}")


def predicted(name: str, metric: str, rows: pd.DataFrame) -> np.ndarray:
    """Return what a theory says of a metric for each row of a frame of trials (and steps).

    Raises:
        ConfigError: the rows have not the columns that the theory is a function of.
    """
    predict, columns = THEORIES[name].metrics[metric], {str(column): rows[column].to_numpy() for column in rows}
    try:
        return predict(columns)
    except KeyError as error:
        raise ConfigError(f"theory={name}: the trials have no {error.args[0]}") from error


def predicted_at(name: str, metric: str, rows: pd.DataFrame, by: Sequence[str]) -> np.ndarray:
    """Return what `predicted` does for rows that differ in seeds alone where they agree in `by` and have stopped at one step.

    It is computed once for all of these: what takes a numerical integral need not be done for every seed.
    """
    reached = np.minimum(rows["step"], rows["last_step"])
    point = rows.assign(reached=reached).groupby([*by, "reached"], dropna=False, sort=False).ngroup().to_numpy()
    _, first = np.unique(point, return_index=True)
    return predicted(name, metric, rows.iloc[first])[point]
