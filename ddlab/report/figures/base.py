"""What a figure recipe is."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import pandas as pd

from ddlab.errors import ConfigError
from ddlab.report.charts import Chart
from ddlab.report.charts.mathematics import fault
from ddlab.report.options import option, shown
from ddlab.report.selection import check_selection, in_words
from ddlab.store.results import Results


@dataclass(frozen=True)
class Recipe(abc.ABC):
    """A figure: `frame` computes its data, `chart` says how they are shown, `caption` what they show.

    A recipe is a frozen dataclass; its fields are its options, declared with `option`. A user's own is named by `_target_`.
    """

    title: str = option("title of the figure", "")
    where: Mapping[str, Any] = option("trials shown: column -> value", dict)

    def check(self, name: str) -> None:
        """Raise `ConfigError` for options of figure `name` that cannot be together; each for itself is allowed."""
        check_selection(f"figures.{name}.where", self.where)
        for field in fields(self):
            text = getattr(self, field.name)
            if isinstance(text, str) and (why := fault(text)):
                key = f"figures.{name}.{field.name}={shown(text)}"
                raise ConfigError(f"{key}: is not mathematics that can be drawn ({why}); a dollar sign itself is \\$")

    @abc.abstractmethod
    def frame(self, results: Results) -> pd.DataFrame:
        """Return the tidy frame that the figure shows, and that is saved beside it as CSV."""

    @abc.abstractmethod
    def chart(self, frame: pd.DataFrame) -> Chart:
        """Return what is drawn of the frame."""

    @abc.abstractmethod
    def caption(self, frame: pd.DataFrame) -> str:
        """Return one or two sentences with the measured numbers."""

    @property
    def selection(self) -> str:
        """The trials shown, in words: ' (label noise 0.2)'; empty where all are."""
        return f" ({in_words(self.where)})" if self.where else ""
