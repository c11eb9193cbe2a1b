"""The round that refines an axis: more of its values where a metric crosses a level, for each setting of the other axes.

What is proposed follows from the trials of the sweep's axes alone, so that it is the same whenever it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ddlab.commands.planning import Planned, Proposal
from ddlab.compose.stored import describe_sweep
from ddlab.config.trial import seeds
from ddlab.plan.shapes import Part
from ddlab.plan.trial import Trial
from ddlab.report.columns import label, text
from ddlab.report.isotonic import Crossing
from ddlab.report.refinement import Refinement
from ddlab.store.results import DIVERGED, PENDING, Results, load_results
from ddlab.store.store import PlanLost, Store

# Settings of which the terminal says what is added.
MOST_TOLD = 8


@dataclass(frozen=True)
class Setting:
    """Trials that differ in their seeds, and along the axis that is refined.

    Attributes:
        part: of the sweep, that they belong to.
        point: their value of each other axis.
        values: trial_id -> its value of the axis.
    """

    part: Part
    point: Mapping[str, Any]
    values: dict[str, int] = field(default_factory=dict)

    @property
    def num_seeds(self) -> int:
        """Trials at each value of the axis."""
        return len(self.values) // len(set(self.values.values()))

    def __str__(self) -> str:
        varied = {key: value for key, value in self.point.items() if len(self.part.axes[key]) > 1}
        return ", ".join(f"{label(key)} {text(value)}" for key, value in {**self.part.structural, **varied}.items())


def settings_of(x: str, trials: Sequence[Trial]) -> list[Setting]:
    """Return the settings of trials at which `x` has several values, in the order of their parts."""
    drawn = {id(trial.shape.part): seeds(trial.shape.part.base) for trial in trials}
    found: dict[tuple[int, str], Setting] = {}
    for trial in trials:
        part, point = trial.shape.part, trial.point
        if x in point:
            rest = {key: value for key, value in point.items() if key != x and key not in drawn[id(part)]}
            setting = found.setdefault((id(part), repr(rest)), Setting(part, rest))
            setting.values[trial.id] = point[x]
    return [setting for setting in found.values() if len(set(setting.values.values())) > 1]


def most_added(planned: Planned) -> int:
    """Return how many trials the refinement adds at most."""
    refinement = planned.refinement
    return sum(refinement.points * each.num_seeds for each in settings_of(refinement.x, planned.trials)) if refinement else 0


def refine(planned: Planned, store: Store) -> Proposal | None:
    """Return the parts with the new values of the axis; None where there are none, or trials of the sweep's axes are not done."""
    refinement = planned.refinement
    results = _finished(planned, store) if refinement else None
    if refinement is None or results is None:
        return None
    parts, lines = [], []
    for setting in settings_of(refinement.x, planned.trials):
        crossing = _crossing(refinement, results, setting)
        new = [value for value in refinement.new_values(crossing) if value not in setting.values.values()] if crossing else []
        if crossing and new:
            parts.append(setting.part.at_values(setting.point, refinement.x, new))
            known = f", {crossing.interval}" if str(crossing.interval) else ""
            lines.append(f"  {setting}: {crossing.at:.4g}{known}; adds {', '.join(map(str, new))}".replace("  : ", "  "))
    if not parts:
        return None
    more = [f"  and {len(lines) - MOST_TOLD} settings more"] if len(lines) > MOST_TOLD else []
    return Proposal("refinement", parts, "\n".join([f"a second round, {refinement.why}", *lines[:MOST_TOLD], *more]))


def _crossing(refinement: Refinement, results: Results, setting: Setting) -> Crossing | None:
    """Return where the metric crosses the level; None where too few trials are left, as the others diverged."""
    mine = results.trials["trial_id"].isin(setting.values) & (results.trials["status"] != DIVERGED)
    trials = results.trials[mine]
    trials = trials.assign(**{refinement.x: trials["trial_id"].map(setting.values)})
    return refinement.crossing(replace(results, trials=trials)) if trials[refinement.x].nunique() > 1 else None


def _finished(planned: Planned, store: Store) -> Results | None:
    """Return the stored trials of the sweep's axes; None where some are not done."""
    try:
        results = load_results(store, describe_sweep(planned.name, planned.sweep, []))
    except PlanLost:
        return None
    ids = {trial.id for trial in planned.trials}
    trials = results.trials[results.trials["trial_id"].isin(ids)]
    if len(trials) < len(ids) or (trials["status"] == PENDING).any():
        return None
    return replace(results, trials=trials, curves=results.curves[results.curves["trial_id"].isin(ids)])
