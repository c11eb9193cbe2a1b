"""What a column of stored metrics holds, as the component that gives it declares it."""

from __future__ import annotations

from typing import NamedTuple

# How many parameters of a trial live, where some of a pack's may not.
NUM_LIVE = "num_live"


class Column(NamedTuple):
    """A column of `results.curves`.

    Attributes:
        label: in words, as the axis of a figure says it.
        unit: of its numbers; "" where they have none.
        along_path: it is known only once training is over, then for all eval points: the last of them has a vector, a number for
            each, and `results.curves` shows that along the steps.
    """

    label: str
    unit: str = ""
    along_path: bool = False
