"""`ddlab status`: how far a stored sweep is."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from ddlab.store import PENDING, Store


def print_status(root: Path) -> None:
    """Print trials by status, packs, the time spent and how to go on."""
    store = Store(root)
    results = store.load()
    plan = store.read_plan()
    finished = store.finished_packs()
    trials = results.trials.merge(plan[["trial_id", "pack"]], on="trial_id")
    last_step = results.curves.groupby("trial_id")["step"].max()
    table = Table(title=f"{results.sweep['name']} in {root}", title_justify="left")
    for heading in ("pack", "trials", "status", "step", "seconds"):
        table.add_column(heading, justify="right")
    for pack, group in trials.groupby("pack"):
        steps = group["trial_id"].map(last_step).max()
        statuses = ", ".join(f"{count} {status}" for status, count in group["status"].value_counts().items())
        started = "" if steps != steps else f"{steps:,.0f}"
        table.add_row(str(pack), str(len(group)), statuses, started, f"{group['seconds'].sum():.1f}" if pack in finished else "")
    console = Console()
    console.print(table)
    counts = trials["status"].value_counts()
    text = ", ".join(f"{count:,} {status}" for status, count in counts.items())
    console.print(f"{len(trials):,} trials: {text}; {trials['seconds'].sum():.1f} s of training and evaluation")
    if PENDING in counts:
        runs = store.read_provenance()
        console.print(f"go on with: {runs[-1]['command']}" if runs else "go on with the same command", soft_wrap=True)
