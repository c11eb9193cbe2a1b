"""A sweep that learns nothing: its test errors are those of guessing, which more often is a mistake than a finding."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ddlab.report.columns import CLEAN_ERROR, number
from ddlab.report.selection import OF_RUN
from ddlab.store.results import COMPLETED, STOPPED, Results


def chance_warning(results: Results) -> str:
    """Return a line where the mean test error over seeds is at or above chance, 1 - 1/K, at every setting; else nothing.

    Of finished trials, at their last step. Where all labels are noise (label_noise = 1) there is nothing to learn, and where
    targets are no classes there is no chance.
    """
    if CLEAN_ERROR not in results.curves:
        return ""
    trials = results.trials[results.trials["status"].isin([COMPLETED, STOPPED])]
    if "data.label_noise" in trials:
        trials = trials[pd.to_numeric(trials["data.label_noise"], errors="coerce") != 1]
    errors = results.curves[["trial_id", "step", CLEAN_ERROR]].dropna()
    final = trials.merge(errors, left_on=["trial_id", "last_step"], right_on=["trial_id", "step"])
    if final.empty:
        return ""
    setting = [column for column in final if column not in (*OF_RUN, *results.seeds, "step", CLEAN_ERROR)]
    settings = final.groupby(setting, dropna=False, sort=False)[CLEAN_ERROR].mean().reset_index()
    chance = 1 - 1 / settings["num_outputs"]
    if (settings[CLEAN_ERROR] < chance).any():
        return ""
    least = int(np.argmin(settings[CLEAN_ERROR] - chance))
    error, guessed = (number(CLEAN_ERROR, float(values[least])) for values in (settings[CLEAN_ERROR], chance))
    where = f"at each of {len(settings):,} settings" if len(settings) > 1 else "at the one setting"
    return (
        f"the mean test error is at or above chance {where}, at best {error} where guessing among"
        f" {settings['num_outputs'][least]:g} classes gives {guessed}: look at the data and their labels, learning rate and steps"
    )
