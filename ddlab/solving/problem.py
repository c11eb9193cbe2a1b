"""The arrays of one problem of the exact solver.

A *problem* is a set of training inputs and a draw of the model: its trials may differ in width, targets, noise and optimizer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ddlab.config.trial import Leaves
from ddlab.data import Dataset
from ddlab.plan.shapes import WIDTH
from ddlab.streams import stream

INPUTS = ("train_inputs", "test_inputs")


class Problem(NamedTuple):
    """The arrays of one problem.

    Attributes:
        inputs: name -> array, those of INPUTS.
        key: [2] uint32, of the stream "init".
        model: leaf -> [], the traced leaves of the model but for the width.
        widths: [W], ascending.
        targets: name -> [W, L, ...], the other arrays of the data sets.
        trials: leaf -> [W, L], the other traced leaves.
    """

    inputs: dict[str, Any]
    key: Any
    model: dict[str, Any]
    widths: Any
    targets: dict[str, Any]
    trials: dict[str, Any]


def make_problem(trials: Sequence[Leaves], datasets: Sequence[Dataset], traced: Sequence[str], num_widths: int = 1) -> Problem:
    """Return the arrays of one problem, on the host.

    Args:
        trials: leaves of each of the W L trials, width by width, ascending.
        datasets: of each trial.
        traced: as `hyper_keys`.
        num_widths: W.

    Raises:
        ValueError: the widths do not ascend.
    """
    first, arrays = trials[0], datasets[0].arrays
    widths = [leaves[WIDTH] for leaves in trials[:: len(trials) // num_widths]]
    if widths != sorted(widths):
        raise ValueError(f"the widths of a problem must ascend: {widths}")

    def by_width(numbers: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack(numbers).reshape(num_widths, -1, *np.shape(numbers[0]))

    of_model = [key for key in traced if key.startswith("model.") and key != WIDTH]
    of_trial = [key for key in traced if not key.startswith("model.")]
    of_targets = [name for name in arrays if name not in INPUTS]
    return Problem(
        inputs={name: _as_float64(arrays[name]) for name in INPUTS},
        key=stream(first["init_seed"], "init"),
        model={key: _number(first[key]) for key in of_model},
        widths=np.stack([_number(width) for width in widths]),
        targets={name: by_width([_as_float64(dataset.arrays[name]) for dataset in datasets]) for name in of_targets},
        trials={key: by_width([_number(leaves[key]) for leaves in trials]) for key in of_trial},
    )


def _as_float64(array: np.ndarray) -> np.ndarray:
    return np.asarray(array, float) if array.dtype.kind == "f" else array


def _number(value: Any) -> np.ndarray:
    return np.array(value, np.int32 if isinstance(value, int) else float)
