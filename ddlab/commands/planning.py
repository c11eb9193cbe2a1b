"""What `ddlab plan` and `ddlab sweep` do first: compose the sweep, check all that it names, and size its trials."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from ddlab.compose.stored import reported
from ddlab.compose.sweep import Sweep
from ddlab.compose.typed import pack_settings
from ddlab.config.schema import PackSettings
from ddlab.config.trial import seeds
from ddlab.devices.local import use_cpu_cores
from ddlab.errors import ConfigError, suggest
from ddlab.job import signals
from ddlab.plan.packs import Packing
from ddlab.plan.shapes import Part
from ddlab.plan.trial import Trial
from ddlab.plan.trials import make_trials, num_trials
from ddlab.report.claims import make_claim
from ddlab.report.figures import make_recipe
from ddlab.report.refinement import Refinement, make_refinement
from ddlab.run.rehearsal import rehearse
from ddlab.run.settle import join, settle
from ddlab.run.speed import this_machine

# To plan more takes so long that the user is told.
MANY_TRIALS = 20_000


@dataclass(frozen=True)
class Planned:
    """A sweep that is ready to be packed.

    Attributes:
        name: of the sweep.
        sweep: composed.
        settings: of packing and running.
        trials: all of them.
        packing: how they are packed for this machine.
        refinement: what may be added once they are done; None: nothing.
        round: the name of a round that was proposed; empty: these are the trials of the axes.
        why: it was proposed, in words.
    """

    name: str
    sweep: Sweep
    settings: PackSettings
    trials: Sequence[Trial]
    packing: Packing
    refinement: Refinement | None
    round: str = ""
    why: str = ""


@dataclass(frozen=True)
class Proposal:
    """Trials that follow from what is stored.

    Attributes:
        name: of their round.
        parts: whose trials they are.
        why: they are proposed, in words.
    """

    name: str
    parts: Sequence[Part]
    why: str


def plan_sweep(name: str, sweep: Sweep, alone: bool) -> Planned:
    """Check a composed sweep, its refinement, figures and claims, and size its trials.

    Args:
        name: of the sweep.
        sweep: composed.
        alone: no other process will use this machine's devices meanwhile.

    Raises:
        ConfigError: a mistake in the sweep.
        ComponentError: from a component's own code.
    """
    settings = pack_settings(sweep.config)
    report = reported(sweep)
    for figure, spec in report["figures"].items():
        make_recipe(figure, spec)
    for claimed, spec in report["claims"].items():
        make_claim(claimed, spec)
    refinement = make_refinement(report["refine"])
    if refinement and sweep.config.stages:
        raise ConfigError("refine: cannot go with stages, whose trials start from others")
    if refinement:
        _check_axis(refinement.x, sweep.parts)
    if (count := num_trials(sweep.parts)) > MANY_TRIALS:
        print(f"planning {count:,} trials ...", file=sys.stderr)
    trials = make_trials(sweep.parts, settle)
    signals.check()
    if not alone:
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # several processes may share an accelerator
    use_cpu_cores(settings.cpu_devices)
    rehearse(trials, {"refine.metric": refinement.metric} if refinement else {})
    return Planned(name, sweep, settings, trials, Packing(settings, this_machine(), join), refinement)


def _check_axis(x: str, parts: Sequence[Part]) -> None:
    """Raise `ConfigError` where a key cannot be refined: it is none, or has values between which there may be no others."""
    for part in parts:
        if x not in part.base:
            raise ConfigError(f"refine.x={x}: no such key. {suggest(x, part.base)}".rstrip())
        values = part.axes.get(x, (part.base[x],))
        are_numbers = all(isinstance(value, int) and not isinstance(value, bool) and value > 0 for value in values)
        if not are_numbers or x in seeds(part.base):
            raise ConfigError(f"refine.x={x}: must be an axis of whole numbers greater than 0, and no seed")
    if not any(x in part.axes for part in parts):
        print(f"ddlab: refine.x={x}: has one value in this sweep, so that no second round follows", file=sys.stderr)
