"""Metrics that follow from what is stored: the test error that labels as noisy as those of training would give."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from ddlab.report.columns import CLEAN_ERROR, NOISY_ERROR, require_values
from ddlab.store.results import Results, load

NOISE = ["data.label_noise", "data.noise_convention", "num_outputs"]


def read_results(root: Path) -> Results:
    """Return stored results with the metrics that follow from them.

    Raises:
        StoreError: nothing can be read, or what there is cannot be reported.
    """
    results = load(root)
    require_values(results.trials)
    return with_noisy_error(results)


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
