"""`ddlab plan`: trials, packs and what they will cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import rich.box
from rich.console import Console
from rich.table import Table

from ddlab.commands.hydra import run_application
from ddlab.commands.names import name_first
from ddlab.commands.planning import plan_sweep
from ddlab.commands.refinement import most_added
from ddlab.compose.sweep import Composer, compose_sweep
from ddlab.plan.packs import Pack, Packing, pack_trials, say_over_budget
from ddlab.plan.trial import Trial
from ddlab.run.speed import machine_file


def run(arguments: Sequence[str]) -> int:
    """Hand a sweep to Hydra, whose Sweeper calls `show_plan`."""
    run_application("plan", *name_first("plan", arguments))
    return 0


def show_plan(name: str, composer: Composer, overrides: Sequence[str]) -> None:
    """Print the packs of a sweep; nothing is trained or stored."""
    planned = plan_sweep(name, compose_sweep(composer, overrides), alone=False)
    packs = pack_trials(planned.trials, planned.packing)
    print_plan(name, packs, planned.packing)
    if planned.refinement and (most := most_added(planned)):
        print(f"refine: a second round of at most {most:,} trials may follow, {planned.refinement.why}")
    say_over_budget(packs, planned.packing)


def print_plan(name: str, packs: Sequence[Pack], packing: Packing) -> None:
    """Print the packs of a sweep and what they will cost."""
    console = Console(markup=False, highlight=False, emoji=False)
    table = Table(box=rich.box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    stages = any(trial.shape.part.stage for pack in packs for trial in pack.trials)
    for heading in ("pack", *(("level",) if stages else ()), "trials", "width", "P", "P/N", "FLOPs", "MiB", "time"):
        table.add_column(heading, justify="right", no_wrap=True)
    num_trials = sum(len(pack.trials) for pack in packs)
    programs = len({pack.program for pack in packs})
    compiled = "each compiled once" if programs == len(packs) else f"{programs} program{'s' if programs > 1 else ''} compiled"
    console.print(f"{name}: {num_trials:,} trials in {len(packs):,} pack{'s' if len(packs) > 1 else ''} ({compiled})")
    numbered = list(enumerate(packs))
    for index, pack in numbered if len(packs) <= 40 else [*numbered[:39], numbered[-1]]:
        if len(packs) > 40 and pack is packs[-1]:
            table.add_row("...")
        table.add_row(str(index), *((str(pack.level),) if stages else ()), *_plan_cells([pack], packing))
    table.add_section()
    table.add_row("all", *(("",) if stages else ()), *_plan_cells(packs, packing))
    console.print(table)
    if stages:
        console.print("\n".join(_stages([trial for pack in packs for trial in pack.trials])), soft_wrap=True)
    stopping = " <: trials end early where they reach train.stop_below." if any(pack.cost.may_stop for pack in packs) else ""
    console.print(
        "Nothing was trained. MiB: arrays of the (largest) pack. Times: estimates for this machine, from a speed measured once"
        f" (to measure it again, remove {machine_file(packing.machine.num_devices)}).{stopping}"
    )


def _stages(trials: Sequence[Trial]) -> Iterator[str]:
    """Yield a line for each stage: its trials, their levels, what they start from, and at which steps that is kept."""
    width = max(len(trial.shape.part.stage) for trial in trials)
    for stage in dict.fromkeys(trial.shape.part.stage for trial in sorted(trials, key=lambda trial: trial.level)):
        own = [trial for trial in trials if trial.shape.part.stage == stage]
        taken: dict[str, set[str]] = {}
        for parent in (parent for trial in own for parent in trial.parents):
            last = parent.trial.shape.leaves["train.steps"]
            at = "its end" if parent.step in (None, last) else f"step {parent.step}"
            taken.setdefault(parent.key.split(".")[1], set()).add(f"{parent.trial.shape.part.stage} at {at}")
        levels = _range([trial.level for trial in own], "d")
        sources = "".join(f"; {what} of {', '.join(sorted(names))}" for what, names in taken.items())
        yield f"  {stage:{width}}  {len(own):,} trials, level {levels}{sources}"


def _plan_cells(packs: Sequence[Pack], packing: Packing) -> list[str]:
    machine, memory = packing.machine, packing.settings.memory
    shapes = {id(trial.shape): trial.shape for pack in packs for trial in pack.trials}.values()
    params = [shape.size.num_params for shape in shapes]
    ratios = [shape.size.num_params / shape.size.num_train for shape in shapes]
    return [
        f"{sum(len(pack.trials) for pack in packs):,}",
        _range([shape.width for shape in shapes], "d") if any(shape.width for shape in shapes) else "-",
        _range(params, ",d"),
        _range(ratios, ".3g"),
        f"{sum(pack.flops for pack in packs):.1e}".replace("e+", "e"),
        f"{max(pack.num_bytes(machine, memory) for pack in packs) / 2**20:,.0f}",
        f"{'< ' if any(pack.cost.may_stop for pack in packs) else ''}{duration(sum(pack.seconds(machine) for pack in packs))}",
    ]


def _range(values: Sequence[float], form: str) -> str:
    low, high = min(values), max(values)
    return f"{low:{form}}" if low == high else f"{low:{form}}-{high:{form}}"


def duration(seconds: float) -> str:
    """Return seconds as a short text: '40 s', '3.2 min', '1.5 h'."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
