"""What a column of stored metrics holds, as the component that gives it declares it."""

from __future__ import annotations

from typing import NamedTuple


class Column(NamedTuple):
    """A column of `results.curves`.

    Attributes:
        label: in words, as the axis of a figure says it.
        unit: of its numbers; "" where they have none.
    """

    label: str
    unit: str = ""
