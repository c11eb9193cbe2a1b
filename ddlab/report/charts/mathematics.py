"""Mathematics between dollar signs in the text of a figure."""

from __future__ import annotations


def fault(text: str) -> str:
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
