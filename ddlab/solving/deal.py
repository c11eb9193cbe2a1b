"""How the trials of a pack are dealt to problems of one size.

Dealt trials are an array [problems, W, L] of indices: of each problem, W widths, ascending, with L trials each. Some are repeated
so that all problems have as many; problems with the same data lie side by side.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ddlab.config.trial import Leaves
from ddlab.data.loader import data_config
from ddlab.plan.shapes import WIDTH
from ddlab.solving.cost import problem_keys


def deal(trials: Sequence[Leaves], num_devices: int, most: int | None = None) -> np.ndarray:
    """Deal the trials of a pack, each a mapping of leaves, for so many devices.

    The widths of one set of inputs are dealt to several problems where that keeps more devices at work or needs less repeating,
    and where one problem would have more than `most` trials.
    """
    most = most or len(trials)
    members: dict[Any, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index, leaves in enumerate(trials):
        members[tuple((key, leaves[key]) for key in problem_keys(leaves))][leaves[WIDTH]].append(index)
    ordered = [members[key] for key in sorted(members, key=lambda key: data_config(dict(key)))]
    groups = [group for by_width in ordered for group in _groups(by_width, most)]
    counts = [len(group) for group in groups]
    most_trials = max(len(indices) for group in groups for indices in group.values())

    def rounds(size: int) -> int:
        """Return the widths that a device solves one after the other; to make the columns takes as long as one of them."""
        return math.ceil(sum(math.ceil(count / size) for count in counts) / num_devices) * (size + 1)

    size = min(range(1, min(max(counts), max(1, most // most_trials)) + 1), key=rounds)
    problems = []
    for group in groups:
        widths = sorted(group)
        for start in range(0, len(widths), size):
            chosen = np.sort(np.resize(widths[start : start + size], size))
            problems.append([np.resize(group[width], most_trials) for width in chosen])
    return np.array(problems)


def _groups(by_width: Mapping[int, Sequence[int]], most: int) -> Iterator[dict[int, Sequence[int]]]:
    """Split the trials of one set of inputs into groups with at most so many at each width."""
    for start in range(0, max(map(len, by_width.values())), most):
        yield {width: indices[start : start + most] for width, indices in by_width.items() if len(indices) > start}


def each_once(dealt: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the trials that are dealt, and for each one place of its in the flat array."""
    trials, places = np.unique(dealt, return_index=True)
    return trials, places
