"""Labels that are longer than their place, broken into lines."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterator

from matplotlib.figure import Figure
from matplotlib.text import Text

# A word; mathematics between dollar signs is one.
WORD = re.compile(r"(?:\$[^$]*\$|\S)+")

# Stands in for the spaces within a word, which is not broken.
SPACE = "\0"


def wrap_labels(figure: Figure) -> None:
    """Break the title and the labels of axes of a figure that is laid out, where they are longer than their place.

    A label of a horizontal axis may be as long as fits into the figure, one of a vertical axis as long as its panel is high.
    """
    for text, room, direction in _places(figure):
        whole = text.get_text()
        lines = math.ceil(_length(text, direction) / room) if room > 0 else 1
        while _length(text, direction) > room > 0 and lines <= len(whole.split()):
            text.set_text(broken(whole, lines))
            lines += 1


def broken(text: str, lines: int) -> str:
    """Return each line of a text as about so many lines, broken between words."""
    return "\n".join(_broken_line(line, lines) for line in text.split("\n"))


def _broken_line(line: str, lines: int) -> str:
    kept = WORD.sub(lambda word: word.group().replace(" ", SPACE), line)
    least = max([math.ceil(len(kept) / lines), *map(len, kept.split())])
    for width in range(least, len(kept) + 1):  # words seldom come out even
        rows = textwrap.wrap(kept, width, break_long_words=False, break_on_hyphens=False)
        if len(rows) <= lines:
            return "\n".join(rows).replace(SPACE, " ")
    return line


def _places(figure: Figure) -> Iterator[tuple[Text, float, str]]:
    """Yield what may be too long: a text, how long it may be, and its direction."""
    whole = figure.bbox
    for title in (*figure.texts, *(legend.get_title() for legend in figure.legends)):
        yield title, whole.width, "width"
    for axes in figure.axes:
        box = axes.xaxis.label.get_window_extent()
        middle = (box.x0 + box.x1) / 2
        yield axes.xaxis.label, 2 * min(middle - whole.x0, whole.x1 - middle), "width"
        yield axes.yaxis.label, axes.bbox.height, "height"


def _length(text: Text, direction: str) -> float:
    return float(getattr(text.get_window_extent(), direction))
