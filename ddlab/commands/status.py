"""`ddlab status`: what is stored; how far a stored sweep is, and where its time went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import rich.box
from rich.console import Console
from rich.table import Table

from ddlab.commands.names import name_only
from ddlab.config import catalog
from ddlab.errors import StoreError
from ddlab.files import first_line
from ddlab.store.results import PENDING, load
from ddlab.store.store import Store

# What the wall time of a pack is made of: heading -> what is stored about the pack.
SHARES = {"compile": "waited_seconds", "step": "step_seconds", "eval": "eval_seconds", "host": "host_seconds"}
STORED = {*SHARES.values(), "trial_steps"}


def run(arguments: Sequence[str]) -> int:
    """Print what is stored, or how far one sweep is."""
    if arguments:
        print_status(catalog.find_results(name_only("status", arguments)))
    else:
        print_stored(catalog.stored_sweeps())
    return 0


def print_stored(roots: Mapping[str, Path]) -> None:
    """Print one line for each stored sweep: name, trials done of all, when it was last run.

    Args:
        roots: name -> results directory.
    """
    if not roots:
        print("nothing is stored below ./results; ddlab list shows the sweeps, and ddlab sweep NAME trains one")
        return
    width = max(map(len, roots))
    for name, root in roots.items():
        try:
            progress = _progress(Store(root))
        except StoreError as error:
            print(f"{name:{width}}  cannot be read: {error}")
        except OSError as error:
            print(f"{name:{width}}  cannot be read: {error.filename or root}: {error.strerror or first_line(error)}")
        else:
            print(f"{name:{width}}  {progress}")
    print("\nNext: ddlab status NAME, or ddlab report NAME")


def _progress(store: Store) -> str:
    packs = store.read_plan(columns=["pack"])["pack"]
    done = int(packs.isin(store.finished_packs()).sum())
    runs = store.read_provenance()
    return f"{done:,} of {len(packs):,} trials{f', last run {_when(runs[-1])}' if runs else ''}"


def _when(run: Mapping[str, Any]) -> str:
    try:
        return f"{datetime.fromisoformat(str(run.get('time'))).astimezone():%Y-%m-%d %H:%M}"
    except ValueError:
        return "at an unknown time"


def print_status(root: Path) -> None:
    """Print trials by status, packs, the time estimated and spent, and how to go on."""
    store = Store(root)
    results = load(root)
    plan = store.read_plan()
    abouts = store.read_abouts()
    trials = results.trials.merge(plan[["trial_id", "pack"]], on="trial_id")
    last_step = results.curves.groupby("trial_id")["step"].max()
    console = Console(markup=False, highlight=False, emoji=False)
    console.print(f"{results.sweep['name']} in {root}")
    table = Table(box=rich.box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("pack", "trials", "at\nstep", "esti-\nmate", "actual", "trial-\nsteps/s", *SHARES):
        table.add_column(heading, justify="right", no_wrap=heading != "trials")
    estimates = (
        plan.groupby("pack")["estimated_seconds"].first().dropna() if "estimated_seconds" in plan else pd.Series(dtype=float)
    )
    for pack, group in trials.groupby("pack"):
        steps = group["trial_id"].map(last_step).max()
        statuses = ", ".join(f"{count} {status}" for status, count in group["status"].value_counts().items())
        started = "" if steps != steps else f"{steps:,.0f}"
        row = [str(pack), statuses, started, *_times([estimates.get(pack)], [abouts.get(int(pack))])]
        table.add_row(*row)
    table.add_section()
    finished = sorted(set(abouts) & set(estimates.index))
    if finished:
        spent = _times([estimates[pack] for pack in finished], [abouts[pack] for pack in finished])
        table.add_row("all", str(len(trials)), "", *spent)
    console.print(table)
    console.print(
        "Estimate and actual: seconds; trial-steps/s: of the steps alone. Shares of the actual, rounded: compile is waiting for"
        " the program, eval the metrics, host any other time that the devices were idle. While the next pack's program is"
        " compiled, the pack that runs is slower."
    )
    counts = trials["status"].value_counts()
    console.print(f"{len(trials):,} trials: {_counted(trials)}")
    if "stage" in trials:
        for stage, group in trials.groupby("stage", sort=False):
            console.print(f"  {stage}: {_counted(group)}")
    if PENDING not in counts and results.sweep.get("more_rounds"):
        console.print("refine: whether a second round follows is not known yet")
    if PENDING in counts or results.sweep.get("more_rounds"):
        runs = store.read_provenance()
        console.print(f"go on with: {runs[-1]['command']}" if runs else "go on with the same command", soft_wrap=True)


def _counted(trials: pd.DataFrame) -> str:
    return ", ".join(f"{count:,} {status}" for status, count in trials["status"].value_counts().items())


def _times(estimates: Sequence[float | None], abouts: Sequence[Mapping[str, Any] | None]) -> list[str]:
    """Return the cells of estimate, actual, trial-steps per second and shares, summed over packs."""
    estimate = "" if None in estimates else f"{sum(estimates):.1f}"  # type: ignore[arg-type]
    known = [about for about in abouts if about is not None and about.keys() >= STORED]
    if not known:
        return [estimate]
    seconds = {heading: sum(about[key] for about in known) for heading, key in SHARES.items()}
    total = sum(seconds.values())
    stepping = seconds["step"]
    rate = f"{sum(about['trial_steps'] for about in known) / stepping:,.0f}" if stepping else ""
    shares = [f"{share / total:.0%}" for share in seconds.values()] if total else []
    return [estimate, f"{total:.1f}", rate, *shares]
