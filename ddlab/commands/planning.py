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
from ddlab.devices.local import use_cpu_cores
from ddlab.job import signals
from ddlab.plan.packs import Packing
from ddlab.plan.trials import Trial, make_trials, num_trials
from ddlab.report.claims import make_claim
from ddlab.report.figures import make_recipe
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
    """

    name: str
    sweep: Sweep
    settings: PackSettings
    trials: Sequence[Trial]
    packing: Packing


def plan_sweep(name: str, sweep: Sweep, alone: bool) -> Planned:
    """Check a composed sweep, its figures and its claims, and size its trials.

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
    if (count := num_trials(sweep.parts)) > MANY_TRIALS:
        print(f"planning {count:,} trials ...", file=sys.stderr)
    trials = make_trials(sweep.parts, settle)
    signals.check()
    if not alone:
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # several processes may share an accelerator
    use_cpu_cores(settings.cpu_devices)
    rehearse(trials)
    return Planned(name, sweep, settings, trials, Packing(settings, this_machine(), join))
