"""`ddlab verify`: the claims of a stored sweep, and what its metrics say of each."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from ddlab.commands.names import name_only
from ddlab.config import catalog
from ddlab.report.chance import chance_warning
from ddlab.report.claims import FAIL, NOT_ENOUGH, PASS, verify
from ddlab.report.derived import read_results

STYLES = {PASS: "green", FAIL: "bold red", NOT_ENOUGH: "yellow"}


def run(arguments: Sequence[str]) -> int:
    """Print the verdict of each claim; return 1 where one fails."""
    return print_verdicts(catalog.find_results(name_only("verify", arguments)))


def print_verdicts(root: Path) -> int:
    """Print each claim with its measured value, interval, bound, source and verdict; return 1 where one fails, else 0."""
    results = read_results(root)
    if warning := chance_warning(results):
        print(f"ddlab: warning: {warning}", file=sys.stderr)
    verdicts = list(verify(results))
    console = Console(highlight=False, markup=False, emoji=False)
    if not verdicts:
        console.print(f"{results.sweep['name']} in {root}: makes no claims")
        return 0
    console.print(f"{results.sweep['name']} in {root}\n")
    lines = [[verdict.status, verdict.claim, *verdict.cells] for verdict in verdicts]
    lines.insert(0, ["verdict", "claim", "measured", "over seeds", "bound"])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line, verdict in zip(lines, [None, *verdicts], strict=True):
        first, *rest = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        console.print(first, style=STYLES[verdict.status] if verdict else "bold", end="  ")
        console.print("  ".join(rest).rstrip(), style=None if verdict else "bold", soft_wrap=True)
        if verdict:
            about = ". ".join(filter(None, [verdict.reason, verdict.says, verdict.source]))
            indent = " " * (widths[0] + 2)
            console.print(textwrap.fill(about, console.width, initial_indent=indent, subsequent_indent=indent), style="dim")
    console.print()
    counts = {status: sum(verdict.status == status for verdict in verdicts) for status in STYLES}
    console.print(", ".join(f"{count} {status}" for status, count in counts.items() if count))
    return int(counts[FAIL] > 0)
