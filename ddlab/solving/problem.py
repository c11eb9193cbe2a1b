"""The arrays of one problem of the exact solver.

A *problem* is a set of training inputs and a draw of the model: its trials may differ in width, targets, noise and optimizer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from ddlab.config.schema import Science
from ddlab.config.trial import Leaves
from ddlab.data import Dataset
from ddlab.devices.stacked import stacked
from ddlab.plan.shapes import WIDTH
from ddlab.streams import stream


class Problem(NamedTuple):
    """The arrays of one problem.

    Attributes:
        inputs: split -> array.
        key: [2] uint32, of the stream "init".
        models: of each width, its numbers [W]; widths ascend.
        targets: name -> [W, L, ...], the other arrays of the data sets.
        trials: the config of each trial, its numbers [W, L].
    """

    inputs: dict[str, Any]
    key: Any
    models: Any
    targets: dict[str, Any]
    trials: Science


def make_problem(trials: Sequence[Leaves], datasets: Sequence[Dataset], num_widths: int = 1) -> Problem:
    """Return the arrays of one problem, on the host.

    Args:
        trials: leaves of each of the W L trials, width by width, ascending.
        datasets: of each trial.
        num_widths: W.

    Raises:
        ValueError: the widths do not ascend.
    """
    widths = [leaves[WIDTH] for leaves in trials[:: len(trials) // num_widths]]
    if widths != sorted(widths):
        raise ValueError(f"the widths of a problem must ascend: {widths}")

    def by_width(numbers: np.ndarray) -> np.ndarray:
        return numbers.reshape(num_widths, -1, *numbers.shape[1:])

    configs = jax.tree.map(by_width, stacked(trials, "float64"))
    first = datasets[0]
    of_targets = [name for name in first.arrays if not name.endswith("_inputs")]
    return Problem(
        inputs={name: _as_float64(split.inputs) for name, split in first.splits.items()},
        key=stream(trials[0]["init_seed"], "init"),
        models=jax.tree.map(lambda numbers: numbers[:, 0], configs.model),
        targets={name: by_width(np.stack([_as_float64(dataset.arrays[name]) for dataset in datasets])) for name in of_targets},
        trials=configs,
    )


def _as_float64(array: np.ndarray) -> np.ndarray:
    return np.asarray(array, float) if array.dtype.kind == "f" else array
