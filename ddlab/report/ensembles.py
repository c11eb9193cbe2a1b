"""Bias, variance and ensembles, from stored predictions at the same test points in every trial.

Trials form a grid at each setting: data seeds times feature seeds (initial weights, or random features). Predictions are
decomposed as in a two-way analysis of variance with random effects (Searle, Casella, McCulloch 1992, chapter 4), estimated
without bias: risk = bias^2 + variance over data + over features + of both together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from ddlab.errors import ConfigError

FEATURES = "init_seed"
COMPONENTS = ("bias_squared", "variance_data", "variance_features", "variance_both")

# Metrics of an ensemble: of all networks that were trained on the same data.
ENSEMBLE_METRICS = ("ensemble_risk", "variance_over_features")


def ensemble_rows(rows: pd.DataFrame, by: Sequence[str], seeds: Sequence[str]) -> pd.DataFrame:
    """Return one row for each setting and data seed: `ensemble_risk` and `variance_over_features`, means over points.

    Args:
        rows: of trials, with predictions.
        by: columns of the settings.
        seeds: columns of the seeds.
    """
    found = []
    for setting, residuals, of_data in _grids(rows, by, seeds):
        risk = np.square(residuals.mean(axis=1)).mean(axis=1)
        variance = residuals.var(axis=1, ddof=1).mean(axis=1)
        found.append(of_data.assign(**setting, ensemble_risk=risk, variance_over_features=variance))
    return pd.concat(found, ignore_index=True)


def components(rows: pd.DataFrame, by: Sequence[str], seeds: Sequence[str]) -> pd.DataFrame:
    """Return one row for each setting: the risk, its components, and the risk of the ensemble over features.

    Columns: `by`, risk, ensemble_risk, bias_squared, variance_data, variance_features, variance_both, data_seeds, feature_seeds,
    and variance_noise where it is stored: what of the variance is that over the noise of the targets, given all else.
    """
    found = []
    for setting, residuals, _ in _grids(rows, by, seeds):
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
                **setting,
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


def _grids(
    rows: pd.DataFrame, by: Sequence[str], seeds: Sequence[str]
) -> Iterator[tuple[dict[str, float], np.ndarray, pd.DataFrame]]:
    """Yield for each setting its columns, predictions minus targets [data seeds, feature seeds, points], and the data seeds.

    Raises:
        ConfigError: predictions are not stored, test points differ between trials, or seeds do not form a grid.
    """
    if "predictions" not in rows:
        raise ConfigError("predictions are not stored; the measure ddlab.measures.Predictions stores them")
    targets = np.stack(list(rows["prediction_targets"]))
    if np.isnan(targets).any():
        raise ConfigError("predictions were not measured where trials stopped early; with their measure's every=1 they would be")
    if not (targets == targets[0]).all():
        raise ConfigError("trials have different test points: pin data.target_seed (or data.seed) for bias and variance")
    of_data = [column for column in seeds if column.startswith("data.") and column in rows]
    for values, members in rows.groupby(list(by), dropna=False) if by else [((), rows)]:
        ordered = members.sort_values([*of_data, FEATURES])
        num_features = ordered[FEATURES].nunique()
        data_seeds = ordered[of_data].iloc[::num_features]
        if len(ordered) != num_features * len(data_seeds) or len(data_seeds) != len(ordered[of_data].drop_duplicates()):
            raise ConfigError("data seeds and feature seeds must form a grid: give `seed` and `data.seed` values of their own")
        residuals = np.stack(list(ordered["predictions"])) - targets[0]
        yield (
            dict(zip(by, values, strict=True)),
            residuals.reshape(len(data_seeds), num_features, -1),
            data_seeds.reset_index(drop=True),
        )
