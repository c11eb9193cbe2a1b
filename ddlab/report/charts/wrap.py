"""Labels that are longer than their place, broken into lines."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterator

from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

# A word; mathematics between dollar signs is one.
WORD = re.compile(r"(?:\$[^$]*\$|\S)+")

# Stands in for the spaces within a word, which is not broken.
SPACE = "\0"


def wrap_labels(figure: Figure) -> None:
    """Break the title and the labels of axes of a figure that is laid out, where they are longer than their place.

    A label of a horizontal axis may be as long as fits into the figure, one of a vertical axis as long as its panel is high.
    """
    for text, box, room, direction in _places(figure):
        length = getattr(box, direction)
        if length > room > 0:
            text.set_text(broken(text.get_text(), math.ceil(length / room)))


def broken(text: str, lines: int) -> str:
    """Return each line of a text as about so many lines, broken between words."""
    return "\n".join(_broken_line(line, lines) for line in text.split("\n"))


def _broken_line(line: str, lines: int) -> str:
    kept = WORD.sub(lambda word: word.group().replace(" ", SPACE), line)
    longest = max([math.ceil(len(kept) / lines), *map(len, kept.split())])
    # Where the words do not come out even, the last line would be one too many.
    found = (textwrap.wrap(kept, width, break_long_words=False, break_on_hyphens=False) for width in range(longest, len(kept) + 1))
    return "\n".join(next((rows for rows in found if len(rows) <= lines), [kept])).replace(SPACE, " ")


def _places(figure: Figure) -> Iterator[tuple[Text, Bbox, float, str]]:
    """Yield what may be too long: a text, where it is, how long it may be, and its direction."""
    whole = figure.bbox
    for title in (*figure.texts, *(legend.get_title() for legend in figure.legends)):
        yield title, title.get_window_extent(), whole.width, "width"
    for axes in figure.axes:
        of_x, of_y = axes.xaxis.label, axes.yaxis.label
        box = of_x.get_window_extent()
        middle = (box.x0 + box.x1) / 2
        yield of_x, box, 2 * min(middle - whole.x0, whole.x1 - middle), "width"
        yield of_y, of_y.get_window_extent(), axes.bbox.height, "height"
