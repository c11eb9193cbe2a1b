"""What a figure recipe is, and the colours and helpers that all of them share."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ddlab.errors import ConfigError
from ddlab.report.options import shown
from ddlab.report.selection import check_selection
from ddlab.store.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito: told apart with any colour vision, and in grey.
TRAIN, TEST, MARK = "#0072B2", "#D55E00", "#595959"
CATEGORIES = (TEST, TRAIN, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")


@dataclass(frozen=True)
class Recipe(abc.ABC):
    """A figure: `frame` computes its data, `draw` draws them, `caption` says what they show.

    Options that all recipes share: `title`, and `where`, column -> value, which selects trials.
    """

    title: str = ""
    where: Mapping[str, Any] = field(default_factory=dict)

    size = (3.5, 4.0)

    def check(self, name: str) -> None:
        """Raise `ConfigError` for options that cannot be; their types are right."""
        check_selection(f"figures.{name}.where", self.where)
        for option in fields(self):
            if isinstance(text := getattr(self, option.name), str):
                check_mathematics(f"figures.{name}.{option.name}", text)

    @abc.abstractmethod
    def frame(self, results: Results) -> pd.DataFrame:
        """Return the tidy frame that the figure shows, and that is saved beside it as CSV."""

    @abc.abstractmethod
    def draw(self, frame: pd.DataFrame, figure: Figure) -> None:
        """Draw the frame on an empty figure."""

    @property
    def selection(self) -> str:
        """The trials shown, in words: ' (data.label_noise = 0.2)'; empty where all are."""
        chosen = ", ".join(f"{key} = {value}" for key, value in self.where.items())
        return f" ({chosen})" if chosen else ""

    @abc.abstractmethod
    def caption(self, frame: pd.DataFrame) -> str:
        """Return one or two sentences with the measured numbers."""


def check_mathematics(option: str, text: str) -> None:
    """Raise `ConfigError` for text of a figure whose mathematics between dollar signs cannot be drawn."""
    if fault := _mathematics_fault(text):
        raise ConfigError(f"{option}={shown(text)}: is not mathematics that can be drawn ({fault}); a dollar sign itself is \\$")


def show_literally(figure: Figure) -> None:
    """Let a figure show text whose mathematics cannot be drawn, such as a name that holds dollar signs, as it is."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        if _mathematics_fault(text.get_text()):
            text.set_parse_math(False)


def _mathematics_fault(text: str) -> str:
    """Return why the mathematics of a text cannot be drawn; empty where it can, or where there is none."""
    if "$" not in text:
        return ""

    from matplotlib.cbook import is_math_text
    from matplotlib.mathtext import MathTextParser

    for line in filter(is_math_text, text.split("\n")):
        try:
            MathTextParser("path").parse(line)
        except ValueError as error:
            return str(error).splitlines()[-1].partition(": ")[2]
    return ""


def percent(axes: Axes, which: str = "y") -> None:
    """Show an axis of fractions 0..1 in percent."""
    from matplotlib.ticker import PercentFormatter

    getattr(axes, f"{which}axis").set_major_formatter(PercentFormatter(1.0, decimals=0))


def plain_log_ticks(axes: Axes, which: str) -> None:
    """Label a log axis with plain numbers: 0.1, 1, 10, 1000."""
    from matplotlib.ticker import FuncFormatter

    axis = getattr(axes, f"{which}axis")
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))

    def minor(value: float, _: int) -> str:

        low, high = axis.get_view_interval()
        decades, digit = np.log10(high / low), round(value / 10 ** np.floor(np.log10(value)))
        shown = (2, 3, 5, 7) if decades < 1.2 else (2, 5) if decades < 2 else ()
        return f"{value:g}" if digit in shown else ""

    axis.set_minor_formatter(FuncFormatter(minor))


def step_axis(axes: Axes) -> None:
    """Give an axes log steps with room for step 0."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axes.set_xscale("symlog", linthresh=1, linscale=0.5)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def ordered_colors(number: int) -> Sequence[Any]:
    """Return colours for ordered groups, dark to light, from a colour-blind-safe map."""
    import matplotlib as mpl

    scale = mpl.colormaps["viridis"]
    return [scale(0.88 * k / max(1, number - 1)) for k in range(number)]
