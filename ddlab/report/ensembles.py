"""Bias, variance and ensembles, from stored predictions at test points.

Trials form a grid at each setting: data seeds times feature seeds (initial weights, or random features). Predictions are
decomposed as in a two-way analysis of variance with random effects (Searle, Casella, McCulloch 1992, chapter 4), estimated
without bias: risk = bias^2 + variance over data + over features + of both together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ddlab.errors import ConfigError

FEATURES = "init_seed"
COMPONENTS = ("bias_squared", "variance_data", "variance_features", "variance_both")

# Columns of the rows of ensembles: at how many test examples they were measured, and whether these are all there are.
EXAMPLES, WHOLE = "examples", "whole"

LOSS, CROSS_ENTROPY, MSE = "train.loss._target_", "ddlab.losses.CrossEntropy", "ddlab.losses.MSE"


@dataclass(frozen=True)
class Grid:
    """The trials of one setting: D data seeds, each with F feature seeds.

    Attributes:
        setting: its columns.
        of_data: [D] rows of the data seeds.
        predictions: [D, F, M] outputs at the test points of each data seed, M = points K.
        targets: [D, M] real, or one-hot.
        loss: class that the trials were trained with.
        num_classes: K; None where targets are real.
        examples: at how many test examples they are.
        whole: they are all test examples, as far as is known.
    """

    setting: Mapping[str, Any]
    of_data: pd.DataFrame
    predictions: np.ndarray
    targets: np.ndarray
    loss: str
    num_classes: int | None
    examples: int
    whole: bool

    @property
    def members(self) -> Iterator[Grid]:
        """F grids of one network at each data seed."""
        for f in range(self.predictions.shape[1]):
            yield replace(self, predictions=self.predictions[:, f : f + 1])

    @property
    def residuals(self) -> np.ndarray:
        """[D, F, M] predictions less targets."""
        return self.predictions - self.targets[:, None]

    @property
    def risk(self) -> np.ndarray:
        """[D] the mean squared error of the mean prediction."""
        return np.square(self.residuals.mean(axis=1)).mean(axis=1)

    @property
    def variance(self) -> np.ndarray:
        """[D] the variance of predictions over features, mean over points."""
        return self.residuals.var(axis=1, ddof=1).mean(axis=1)

    @property
    def error(self) -> np.ndarray:
        """[D] the share of points of which the ensemble has another class: the largest mean output, or mean probability."""
        scores = self._log_probabilities if self.loss == CROSS_ENTROPY else self._by_class(self.predictions.mean(axis=1))
        return (scores.argmax(axis=-1) != self._one_hot.argmax(axis=-1)).mean(axis=1)

    @property
    def mean_loss(self) -> np.ndarray:
        """[D] the loss that trials were trained with, of the mean outputs or probabilities."""
        return self.cross_entropy if self.loss == CROSS_ENTROPY else self.risk

    @property
    def cross_entropy(self) -> np.ndarray:
        """[D] the mean of -log p of the right class, of the mean probabilities p."""
        return -np.where(self._one_hot > 0, self._log_probabilities, 0).sum(axis=-1).mean(axis=1)

    @property
    def _log_probabilities(self) -> np.ndarray:
        """[D, points, K] logarithms of the mean of the members' softmax outputs."""
        outputs = self._by_class(self.predictions)
        members = outputs - np.logaddexp.reduce(outputs, axis=-1, keepdims=True)
        return np.logaddexp.reduce(members, axis=1) - np.log(outputs.shape[1])

    @property
    def _one_hot(self) -> np.ndarray:
        return self._by_class(self.targets)

    def _by_class(self, values: np.ndarray) -> np.ndarray:
        """Return values [..., M] as [..., points, K]."""
        assert self.num_classes is not None
        return values.reshape(*values.shape[:-1], -1, self.num_classes)


Metric = Callable[[Grid], np.ndarray]


def _of_members(metric: Metric) -> Metric:
    """Return the mean over the members of a metric of each alone."""
    return lambda grid: np.mean([metric(member) for member in grid.members], axis=0)


# Metrics of several networks, whose number matters: a grid of them -> [D].
OF_SEVERAL: Mapping[str, Metric] = {
    "ensemble_risk": lambda grid: grid.risk,
    "ensemble_loss": lambda grid: grid.mean_loss,
    "ensemble_error": lambda grid: grid.error,
    "variance_over_features": lambda grid: grid.variance,
}

# Of one of them on average, at the same test examples.
MEMBER_METRICS: Mapping[str, Metric] = {
    f"member_{name}": _of_members(OF_SEVERAL[f"ensemble_{name}"]) for name in ("risk", "loss", "error")
}

# Metrics of an ensemble: of all networks that were trained on the same data.
ENSEMBLE_METRICS: Mapping[str, Metric] = {**OF_SEVERAL, **MEMBER_METRICS}


def _check(metric: str, grid: Grid) -> None:
    """Raise `ConfigError` where a grid has no such metric."""
    of, _, quantity = metric.partition("_")
    if quantity in ("loss", "error") and grid.num_classes is None:
        raise ConfigError(f"metric={metric}: is of data with one class an example; of other data there is {of}_risk")
    if quantity == "loss" and grid.loss not in (CROSS_ENTROPY, MSE):
        raise ConfigError(f"metric={metric}: is known for the losses cross_entropy and mse, not for {grid.loss}")
    if metric in OF_SEVERAL and grid.predictions.shape[1] < 2:
        raise ConfigError(f"metric={metric}: needs two networks or more of each draw of the data: equal data.seed, other seeds")


def require_whole(rows: pd.DataFrame, metric: str, other: str) -> None:
    """Raise `ConfigError` where an ensemble's metric is held against one of all test examples, and it is of fewer.

    Args:
        rows: of `ensemble_rows`.
        metric: the ensemble's.
        other: a column of the curves, or an ensemble's metric as well.
    """
    is_of_all = other not in ENSEMBLE_METRICS and ("test_" in other or other == "excess_risk")
    if is_of_all and not rows[WHOLE].all():
        raise ConfigError(
            f"{metric} is of {rows[EXAMPLES].min():,} test examples, whose predictions are stored, and {other} of all; instead of"
            f" {other} take one of the same examples: {', '.join(MEMBER_METRICS)}"
        )


def ensemble_rows(rows: pd.DataFrame, metric: str, by: Sequence[str], seeds: Sequence[str]) -> pd.DataFrame:
    """Return one row for each setting and data seed, with a metric of the ensemble over feature seeds, `EXAMPLES` and `WHOLE`.

    Args:
        rows: of trials, with predictions.
        metric: one of `ENSEMBLE_METRICS`.
        by: columns of the settings.
        seeds: columns of the seeds.

    Raises:
        ConfigError: trials have no such metric, or make no grid.
    """
    found = []
    for grid in _grids(rows, by, seeds):
        _check(metric, grid)
        about = {EXAMPLES: grid.examples, WHOLE: grid.whole, metric: ENSEMBLE_METRICS[metric](grid)}
        found.append(grid.of_data.assign(**grid.setting, **about))
    return pd.concat(found, ignore_index=True)


def components(rows: pd.DataFrame, by: Sequence[str], seeds: Sequence[str]) -> pd.DataFrame:
    """Return one row for each setting: the risk, its components, and the risk of the ensemble over features.

    Columns: `by`, risk, ensemble_risk, bias_squared, variance_data, variance_features, variance_both, data_seeds, feature_seeds,
    and variance_noise where it is stored: what of the variance is that over the noise of the targets, given all else.
    """
    found = []
    for grid in _grids(rows, by, seeds):
        if not (grid.targets == grid.targets[0]).all():
            raise ConfigError("trials have different test points: pin data.target_seed (or data.seed) for bias and variance")
        residuals = grid.residuals
        num_data, num_features, _ = residuals.shape
        if num_data < 2 or num_features < 2:
            raise ConfigError("bias and variance need two data seeds and two feature seeds at least")
        mean, of_data, of_features = residuals.mean(axis=(0, 1)), residuals.mean(axis=1), residuals.mean(axis=0)
        rest = residuals - of_data[:, None] - of_features[None] + mean
        both = np.square(rest).sum(axis=(0, 1)) / ((num_data - 1) * (num_features - 1))
        data = of_data.var(axis=0, ddof=1) - both / num_features
        features = of_features.var(axis=0, ddof=1) - both / num_data
        spread_of_mean = data / num_data + features / num_features + both / (num_data * num_features)
        found.append(
            {
                **grid.setting,
                "risk": np.square(residuals).mean(),
                "ensemble_risk": np.square(of_data).mean(),
                "bias_squared": (np.square(mean) - spread_of_mean).mean(),
                "variance_data": data.mean(),
                "variance_features": features.mean(),
                "variance_both": both.mean(),
                "data_seeds": num_data,
                "feature_seeds": num_features,
            }
        )
    parts = pd.DataFrame(found)
    if "variance_noise" in rows:
        parts = parts.merge(rows.groupby(list(by))["variance_noise"].mean().reset_index(), on=list(by))
    return parts


def _grids(rows: pd.DataFrame, by: Sequence[str], seeds: Sequence[str]) -> Iterator[Grid]:
    """Yield the grid of each setting.

    Raises:
        ConfigError: predictions are not stored, test points differ between trials of one data seed, or seeds do not form a grid.
    """
    if "predictions" not in rows:
        raise ConfigError("predictions are not stored; the measure ddlab.measures.Predictions stores them")
    of_data = [column for column in seeds if column.startswith("data.") and column in rows]
    for values, members in rows.groupby(list(by), dropna=False) if by else [((), rows)]:
        ordered = members.sort_values([*of_data, FEATURES])
        num_features = ordered[FEATURES].nunique()
        data_seeds = ordered[of_data].iloc[::num_features]
        if len(ordered) != num_features * len(data_seeds) or len(data_seeds) != len(ordered[of_data].drop_duplicates()):
            raise ConfigError("data seeds and feature seeds must form a grid: give `seed` and `data.seed` values of their own")
        predictions, targets = (
            np.stack(list(ordered[name])).reshape(len(data_seeds), num_features, -1).astype(float)
            for name in ("predictions", "prediction_targets")
        )
        if np.isnan(targets).any():
            raise ConfigError(
                "predictions were not measured where trials stopped early; with their measure's every=1 they would be"
            )
        if not (targets == targets[:, :1]).all():
            raise ConfigError("trials of the same data seed have different test points: pin data.target_seed, too")
        num_classes, examples = _num_classes(ordered, targets), targets.shape[-1] // int(ordered["num_outputs"].iloc[0])
        # The test loss of real targets has the noise of new ones in it.
        whole = num_classes is not None and "data.num_test" in ordered and bool((ordered["data.num_test"] == examples).all())
        yield Grid(
            dict(zip(by, values, strict=True)),
            data_seeds.reset_index(drop=True),
            predictions,
            targets[:, 0],
            str(ordered[LOSS].iloc[0]) if LOSS in ordered else MSE,
            num_classes,
            examples,
            whole,
        )


def _num_classes(rows: pd.DataFrame, targets: np.ndarray) -> int | None:
    """Return K of trials with classes, one an example, whose targets [D, F, M] are one-hot; None of others."""
    if "test_error" not in rows or rows["test_error"].isna().any():
        return None
    num_classes = int(rows["num_outputs"].iloc[0])
    is_one_hot = targets.shape[-1] % num_classes == 0 and (targets.reshape(-1, num_classes).sum(axis=1) == 1).all()
    return num_classes if is_one_hot else None
