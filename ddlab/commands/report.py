"""`ddlab report`: the figures, tables and page of a stored sweep."""

from __future__ import annotations

from collections.abc import Sequence

from ddlab.commands.names import name_first
from ddlab.config import catalog
from ddlab.report.page import make_report


def run(arguments: Sequence[str]) -> int:
    """Draw the figures; return 1 where one could not be drawn."""
    name, overrides = name_first("report", arguments)
    return make_report(catalog.find_results(name), overrides)
