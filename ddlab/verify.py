"""`ddlab verify`: the claims of a stored sweep, and what its metrics say of each."""

from __future__ import annotations

from pathlib import Path

import rich.box
from rich.console import Console
from rich.table import Table

from ddlab.report.claims import FAIL, NOT_ENOUGH, PASS, verify
from ddlab.store import Store

STYLES = {PASS: "green", FAIL: "bold red", NOT_ENOUGH: "yellow"}


def print_verdicts(root: Path) -> int:
    """Print each claim with its measured value, interval, bound, source and verdict; return 1 where one fails, else 0."""
    results = Store(root).load()
    verdicts = list(verify(results))
    console = Console()
    if not verdicts:
        console.print(f"{results.sweep['name']} in {root}: makes no claims")
        return 0
    table = Table(box=rich.box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_lines=False)
    for heading in ("claim", "what", "measured", "95 %", "bound", "source", "verdict"):
        table.add_column(heading, overflow="fold")
    for verdict in verdicts:
        outcome = f"[{STYLES[verdict.status]}]{verdict.outcome}[/]"
        table.add_row(verdict.claim, verdict.says, *verdict.cells, verdict.source, outcome)
    console.print(f"{results.sweep['name']} in {root}")
    console.print(table)
    counts = {status: sum(verdict.status == status for verdict in verdicts) for status in STYLES}
    console.print(", ".join(f"{count} {status}" for status, count in counts.items() if count))
    return int(counts[FAIL] > 0)
