"""Early stopping in hindsight: trials as they were when a metric of theirs was least, instead of at their last step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ddlab.errors import ConfigError
from ddlab.report.columns import label, require
from ddlab.report.selection import selected
from ddlab.store.results import STOPPED, Results


def stopped_by(results: Results, where: Mapping[str, Any], stop_by: str | None) -> Results:
    """Return results in which the finished trials of a selection stopped early: where a metric was least, first of equal ones.

    One whose last eval point is missing or damaged stays as it is: where the least was is not known.

    Args:
        results: that hold them.
        where: columns of the trials and their values.
        stop_by: a column of the curves; None: they go on to their last step.

    Raises:
        ConfigError: there is no such metric, or a trial never measured it.
    """
    if stop_by is None:
        return results
    require(results.curves, stop_by, "stop_by")
    trials = selected(results, where, finished=True)[["trial_id", "last_step"]]
    whole = trials.merge(results.curves, left_on=["trial_id", "last_step"], right_on=["trial_id", "step"])["trial_id"]
    measured = results.curves[results.curves["trial_id"].isin(whole)].dropna(subset=stop_by).sort_values("step", kind="stable")
    if missing := len(whole) - measured["trial_id"].nunique():
        raise ConfigError(f"stop_by={stop_by}: was never measured in {missing:,} trials")
    steps = measured.loc[measured.groupby("trial_id")[stop_by].idxmin()].set_index("trial_id")["step"]
    ends = results.trials["trial_id"].map(steps)
    stopped = results.trials.assign(
        status=results.trials["status"].where(ends.isna(), STOPPED), last_step=ends.fillna(results.trials["last_step"])
    )
    beyond = results.curves["step"] > results.curves["trial_id"].map(steps)
    return replace(results, trials=stopped, curves=results.curves[~beyond])


def stopped_at(stop_by: str) -> str:
    """Return in words where trials stopped: "at the least validation error"; of the test set it is said that it was used."""
    chosen = ", chosen on the test set" if "test_" in stop_by else ""
    return f"at the least {label(stop_by)}{chosen}"
