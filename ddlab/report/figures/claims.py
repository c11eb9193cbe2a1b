"""The claims of a sweep: what each measures, how far that is known, and its bounds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import pandas as pd

from ddlab.errors import ConfigError, suggest
from ddlab.report.charts import Axis, Band, Chart, Dots, Line, Mark, Note, Panel, Rule, Series, values
from ddlab.report.charts.chart import Marker
from ddlab.report.charts.colors import CATEGORIES, GREY, TEST
from ddlab.report.charts.limits import FACTOR, ROOM, shown_on
from ddlab.report.claims import FAIL, NOT_ENOUGH, PASS, Claim, make_claim
from ddlab.report.columns import digits, named, quantity, text
from ddlab.report.figures.base import Recipe
from ddlab.report.figures.curve_parts import SCALES
from ddlab.report.options import option, shown
from ddlab.store.results import Results

# In a pattern of names, what stands for other letters.
WILD = re.compile(r"[*?[]")

# The column of the horizontal axis.
NUMBER = "measured"

LOOKS: dict[str, tuple[Series, Marker]] = {
    PASS: (Series(PASS, CATEGORIES[2]), "circle"),
    FAIL: (Series(FAIL, TEST), "square"),
    NOT_ENOUGH: (Series(NOT_ENOUGH, GREY), "triangle"),
}
BOUND = Series("bound", GREY)

# Of a row's height the share that its bound takes, and the height itself, in inches.
SHARE, ROW = 0.7, 0.17


@dataclass(frozen=True)
class Claims(Recipe):
    """What claims of the sweep measure, a row for each: the number, how far it is known over seeds, and its bound, shaded.

    They should be numbers of one kind, such as ratios, or differences of one metric.
    """

    claims: Sequence[str] = option("names of claims, * for any letters, ? for one; empty: all of the sweep", ())
    groups: Mapping[str, str] = option("claims under a heading: heading -> their names, with * and ?", dict)
    x_label: str = option("what is measured; empty: the claims' metrics", "")
    y_label: str = option("what the rows are", "")
    x_scale: str = option("of the horizontal axis", "linear", choices=SCALES)
    reference: float | None = option("where a line is drawn, such as at a ratio of 1 or a difference of 0", None)

    def check(self, name: str) -> None:
        super().check(name)
        if self.where:
            raise ConfigError(f"figures.{name}.where: claims have their own; claims: selects some")
        for key, patterns in (("claims", self.claims), ("groups", [*self.groups, *self.groups.values()])):
            if not all(isinstance(pattern, str) for pattern in patterns):
                raise ConfigError(f"figures.{name}.{key}={shown(getattr(self, key))}: must be names of claims")
        if self.x_scale == "log" and self.reference is not None and self.reference <= 0:
            raise ConfigError(f"figures.{name}.reference={self.reference}: must be above 0, on a log scale")

    def frame(self, results: Results) -> pd.DataFrame:
        """Return a row for each claim, from top to bottom.

        Columns: claim, group (its heading), name (in words), metric, quantity (that in words), place (on the vertical axis),
        measured and beyond (of `Verdict`), low, high and interval (over seeds), least and greatest (of its bound), status and
        reason.
        """
        every = {str(name): options for name, options in results.sweep.get("claims", {}).items()}
        claims = {name: make_claim(name, every[name]) for name in self._chosen(list(every))}
        order = sorted(claims, key=lambda name: ["", *self.groups].index(self._group(name)))
        frame = pd.DataFrame([self._row(results, name, claims[name]) for name in order])
        headings = (~frame["group"].duplicated() & (frame["group"] != "")).cumsum()
        frame["place"] = len(frame) + headings.iloc[-1] - np.arange(len(frame)) - headings
        return frame

    def _chosen(self, names: Sequence[str]) -> list[str]:
        """Return the names of the claims that are shown."""
        for pattern in (*self.claims, *self.groups.values()):
            if not any(fnmatchcase(name, pattern) for name in names):
                raise ConfigError(f"claims={pattern}: there is no such claim. {suggest(pattern, names)}".rstrip())
        chosen = [name for name in names if not self.claims or any(fnmatchcase(name, pattern) for pattern in self.claims)]
        if not chosen:
            raise ConfigError("the sweep has no claims")
        return chosen

    def _group(self, name: str) -> str:
        """Return the first heading under which a claim is; empty where it is under none."""
        return next((group for group, pattern in self.groups.items() if fnmatchcase(name, pattern)), "")

    def _words(self, name: str) -> str:
        """Return the name of a claim in words, without the letters that its heading's pattern begins with."""
        begin, *rest = WILD.split(self.groups.get(self._group(name), ""), maxsplit=1)
        return text(name.removeprefix(begin if rest else ""))

    def _row(self, results: Results, name: str, claim: Claim) -> dict[str, Any]:
        found = claim.verdict(name, results)
        least, greatest = (np.nan if bound is None else float(bound) for bound in claim.between)
        return {
            "claim": name,
            "group": self._group(name),
            "name": self._words(name),
            "metric": claim.metric,
            "quantity": named(claim.metric, quantity(claim.metric, results, results.trials)),
            NUMBER: found.measured,
            "beyond": found.beyond,
            "low": found.interval.low,
            "high": found.interval.high,
            "interval": found.interval.kind,
            "least": least,
            "greatest": greatest,
            "status": found.status,
            "reason": found.reason,
        }

    def chart(self, frame: pd.DataFrame) -> Chart:
        low, high = self._ends(frame)
        rules = [] if self.reference is None else [Rule({NUMBER: self.reference}, Series(digits(self.reference), GREY))]
        headings = {float(rows["place"].max()) + 1: group for group, rows in frame.groupby("group", sort=False) if group}
        ticks = {**headings, **dict(zip(frame["place"].astype(float), frame["name"], strict=True))}
        rows = max(ticks)
        y = Axis(self.y_label, low=0.4, high=rows + 0.6, ticks=tuple(ticks), names=tuple(ticks.values()))
        x = Axis(self.x_label or " / ".join(frame["quantity"].unique()), NUMBER, self.x_scale, low, high)
        marks: list[Mark] = [*rules]
        for _, row in frame.iterrows():
            marks += self._marks(row, low, high)
        seen = set(frame["status"])
        looks = [Dots({}, (), series, marker) for status, (series, marker) in LOOKS.items() if status in seen]
        legend: list[Dots | Band | Rule] = [*looks, Band({}, (), (), BOUND), *rules]
        return Chart([x], [Panel(y, marks)], legend, self.title, size=(3.5, 1.1 + ROW * rows))

    def _ends(self, frame: pd.DataFrame) -> tuple[float, float]:
        """Return the ends of the horizontal axis, on which is every number and every bound."""
        columns = frame[[NUMBER, "low", "high", "least", "greatest"]]
        numbers = shown_on(self.x_scale, [*columns.to_numpy().flat, *([] if self.reference is None else [self.reference])])
        if not len(numbers):
            raise ConfigError("x_scale=log: no claim has a number or a bound above 0")
        low, high = float(numbers.min()), float(numbers.max())
        if self.x_scale == "log":
            return low / FACTOR, high * FACTOR
        room = ROOM * (high - low) or 1.0
        return low - room, high + room

    def _marks(self, row: pd.Series, low: float, high: float) -> Iterator[Mark]:
        """Yield the bound of a claim, its interval and its number, or why there is none."""
        place, (series, marker) = float(row["place"]), LOOKS[row["status"]]
        bound = [end if np.isnan(row[name]) else row[name] for name, end in (("least", low), ("greatest", high))]
        yield Band({NUMBER: values(bound)}, (place - SHARE / 2,) * 2, (place + SHARE / 2,) * 2, BOUND)
        yield Line({NUMBER: values([row["low"], row["high"]])}, (place, place), series)
        if np.isnan(row[NUMBER]):
            yield Note({NUMBER: low}, place, row["status"], series)
        else:
            yield Dots({NUMBER: values([row[NUMBER]])}, (place,), series, marker, hollow=bool(row["beyond"]))

    def caption(self, frame: pd.DataFrame) -> str:
        kinds = filter(None, dict.fromkeys(kind.partition(";")[0] for kind in frame["interval"]))
        bars = f"; bars: {' or '.join(kinds)}" if frame["low"].notna().any() else ""
        found = [f"{(frame['status'] == PASS).sum()} of {len(frame)} pass"]
        for status, rows in frame[frame["status"] != PASS].groupby("status"):
            found.append(f"{status}: {', '.join(rows['claim'].map(text))}")
        return f"What the claims measure, dots{bars}; shaded: their bounds. {'; '.join(found)}.{self._range(frame)}"

    def _range(self, frame: pd.DataFrame) -> str:
        """Return the least and the greatest number in words; empty where there is none."""
        measured = frame.dropna(subset=NUMBER).sort_values(NUMBER, kind="stable")
        ends = [f"{digits(row[NUMBER])} ({text(row['claim'])})" for _, row in measured.iterrows()]
        return f" Measured: from {ends[0]} to {ends[-1]}." if ends else ""
