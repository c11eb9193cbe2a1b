"""What follows from what is stored: the test error on labels as noisy as those of training, and N in units of what is learnt."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from ddlab.report.columns import CLEAN_ERROR, NOISY_ERROR, require_values
from ddlab.report.crossings import Level
from ddlab.report.isotonic import crossing_at
from ddlab.report.selection import DERIVED, OF_RUN, SAMPLES_PER_EMC
from ddlab.store.results import COMPLETED, STOPPED, Results, load

# Train error of what is learnt; of the squared loss on one-hot targets the share of what their mean has of it, as its outputs fit
# them long before they are equal.
EPSILON, SHARE_OF_MEAN = 0.1, 0.01

# Numbers of examples that a complexity is taken from, at least.
FEWEST_SIZES = 3

NOISE = ["data.label_noise", "data.noise_convention", "num_outputs"]


def read_results(root: Path) -> Results:
    """Return stored results with what follows from them.

    Raises:
        StoreError: nothing can be read, or what there is cannot be reported.
    """
    results = load(root)
    require_values(results.trials)
    return with_complexity(with_noisy_error(results))


def with_noisy_error(results: Results) -> Results:
    """Return results with the column noisy_test_error beside test_error, where trials have label noise.

    A label that is redrawn with probability p, over all K classes (any) or over the K - 1 wrong ones (wrong), is each of the
    wrong ones with probability q = p / K or p / (K - 1). Where the error on true labels is e, it then is
    1 - (1 - e)(1 - (K - 1) q) - e q, whichever way the network errs, as the noise does not depend on it (the two distributions of
    Nakkiran et al. 2020, figure 1 and all others). An example has one class.
    """
    trials, curves = results.trials, results.curves
    if NOISY_ERROR in curves or CLEAN_ERROR not in curves or not set(NOISE) <= set(trials):
        return results
    of_trial = trials.set_index("trial_id")[NOISE].reindex(curves["trial_id"])
    level, convention, classes = (of_trial[name].set_axis(curves.index) for name in NOISE)
    q = pd.to_numeric(level, errors="coerce") / classes.where(convention == "any", classes - 1)
    error = curves[CLEAN_ERROR]
    noisy = 1 - (1 - error) * (1 - (classes - 1) * q) - error * q
    return replace(results, curves=curves.assign(**{NOISY_ERROR: noisy.where(convention.isin(["any", "wrong"]))}))


def with_complexity(results: Results) -> Results:
    """Return results with the column samples_per_emc of their trials, N / EMC, where it is known of any.

    EMC, the effective model complexity (Nakkiran et al. 2020, definition 1), is the largest number of examples whose mean train
    error over seeds is at most 0.1; of the squared loss, at most a hundredth of the train loss of the mean target, (1 - 1/K) / K.
    It is taken from trials that differ in N and seeds only; nan where all or none of their N are learnt.
    """
    trials, curves = results.trials, results.curves
    if trials["num_train"].nunique() < FEWEST_SIZES or "train_error" not in curves:
        return results
    finished = trials[trials["status"].isin([COMPLETED, STOPPED])]
    ends = curves[["trial_id", "step", "train_error", "train_loss"]]
    final = finished.merge(ends, left_on=["trial_id", "last_step"], right_on=["trial_id", "step"]).dropna(subset="train_error")
    others = {*OF_RUN, *DERIVED, *results.seeds, "step", "train_error", "train_loss", "data.num_train", "data.train_fraction"}
    setting = [column for column in final if column not in others]
    found = pd.Series(np.nan, index=trials["trial_id"])
    for _, members in final.groupby(setting, dropna=False, sort=False):
        level = _learnt(members.iloc[0])
        means = members.groupby("num_train")[level.metric].mean()
        emc = crossing_at(means.index.to_numpy(float), means.to_numpy(float), level, up_to=True)
        if len(means) >= FEWEST_SIZES and math.isfinite(emc):
            found[members["trial_id"]] = members["num_train"].to_numpy() / emc
    if found.isna().all():
        return results
    return replace(results, trials=trials.assign(**{SAMPLES_PER_EMC: found.to_numpy()}))


def _learnt(trial: pd.Series) -> Level:
    """Return what holds where a training set is learnt, by the loss of a trial."""
    if trial.get("train.loss") != "mse":
        return Level("train_error", "at_most", EPSILON)
    return Level("train_loss", "at_most", SHARE_OF_MEAN * (1 - 1 / trial["num_outputs"]) / trial["num_outputs"])
