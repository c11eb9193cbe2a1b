"""Claims of the papers, checked by machine.

A claim is a number computed from stored metrics, such as where a curve peaks, and the bounds that it must lie in. How far the
number moves with the seeds is shown beside it (`ddlab.report.intervals`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ddlab.report.claims.base import FAIL, NOT_ENOUGH, PASS, Claim, Verdict
from ddlab.report.claims.curves import (
    ClassicalMinimum,
    HeightDifference,
    LastOverLeast,
    MatchesTheory,
    Monotone,
    PeakHeight,
    PeakLocation,
    Prominence,
    SecondDescent,
    SecondOverFirst,
    Slope,
)
from ddlab.report.claims.groups import Difference, Ordering, RankCorrelation, Ratio, Share, Value
from ddlab.report.claims.steps import Delay, FirstCrossing, Grokking, Leads, Plateau, Reached, ValueAt
from ddlab.report.claims.thresholds import LocationRatio
from ddlab.report.options import choose
from ddlab.store.results import Results

KINDS: dict[str, type[Claim]] = {
    "peak_location": PeakLocation,
    "location_ratio": LocationRatio,
    "peak_height": PeakHeight,
    "prominence": Prominence,
    "height_difference": HeightDifference,
    "second_descent": SecondDescent,
    "second_over_first": SecondOverFirst,
    "classical_minimum": ClassicalMinimum,
    "last_over_least": LastOverLeast,
    "monotone": Monotone,
    "slope": Slope,
    "matches_theory": MatchesTheory,
    "value": Value,
    "difference": Difference,
    "ordering": Ordering,
    "ratio": Ratio,
    "share": Share,
    "rank_correlation": RankCorrelation,
    "first_crossing": FirstCrossing,
    "delay": Delay,
    "grokking": Grokking,
    "reached": Reached,
    "leads": Leads,
    "value_at": ValueAt,
    "plateau": Plateau,
}


def make_claim(name: str, options: Mapping[str, Any]) -> Claim:
    """Return the claim `name` from its entry in the sweep's `claims`.

    Raises:
        ConfigError: an unknown kind or option, or one that is missing; the line lists them.
    """
    kind, chosen = choose(f"claims.{name}", "kind", KINDS, options)
    claim = kind(**chosen)
    claim.check(name)
    return claim


def verify(results: Results) -> Iterator[Verdict]:
    """Yield the verdict on each claim of the stored sweep."""
    for name, options in results.sweep.get("claims", {}).items():
        yield make_claim(str(name), options).verdict(str(name), results)


__all__ = ["FAIL", "KINDS", "NOT_ENOUGH", "PASS", "Claim", "Verdict", "make_claim", "verify"]
