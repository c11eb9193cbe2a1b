"""The ways to run a pack, behind one door: nothing outside asks which one it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

import ddlab.solving.method
import ddlab.training.method
from ddlab.config.components import component_class
from ddlab.config.schema import Science, Train
from ddlab.config.trial import Leaves
from ddlab.data import Spec
from ddlab.devices.local import Divisible
from ddlab.errors import ConfigError
from ddlab.job.job import Job
from ddlab.measures.evaluate import Metrics
from ddlab.optimizers import Optimizer, SpectralFilter
from ddlab.plan.cost import Cost
from ddlab.plan.shapes import Size


class Prepared(Protocol):
    """A pack that is ready to run: its data loaded, or the first of it, and its program compiled."""

    @property
    def train(self) -> Train:
        """Training settings, the same for all trials."""

    @property
    def portion(self) -> Divisible:
        """How much a device is given at once."""


class Method(Protocol):
    """A way to run a pack; a module with these functions."""

    COUNTS_STEPS: bool

    def check(self, config: Science, spec: Spec) -> None:
        """Raise `ConfigError` where a trial cannot be run in this way."""

    def cost(self, leaves: Leaves, config: Science, size: Size) -> Cost:
        """Return what trials of a shape cost; config: its leaves, parsed."""

    def padded(self, leaves: Leaves) -> tuple[str, ...]:
        """Return the leaves of mark SIZE that it pads; trials that differ in another are in packs of their own."""

    def metrics(self, leaves: Leaves, spec: Spec) -> Metrics:
        """Return the shapes of the metrics of a trial, without computing anything: [1], or [1, n]."""

    def prepare(self, trial_ids: np.ndarray, trials: Sequence[Leaves], memory: float, room: int, portion: Any) -> Prepared:
        """Make a pack ready to run.

        Args:
            trial_ids: of it.
            trials: leaves of each.
            memory: bytes that it may take.
            room: trials that its program has room for.
            portion: what a device is given at once; None: what suits it.
        """

    def run(self, job: Job, prepared: Any) -> None:
        """Run a pack that was prepared, from what is stored of it to its outcome."""


# By what the class of an optimizer says of itself (`METHOD`).
METHODS: dict[str, Method] = {"training": ddlab.training.method, "solving": ddlab.solving.method}


def method_of(leaves: Leaves) -> Method:
    """Return the way that a trial is run.

    Raises:
        ConfigError: its optimizer's class says of none.
    """
    cls = component_class("optimizer", leaves["optimizer._target_"])
    if not issubclass(cls, Optimizer | SpectralFilter):
        raise ConfigError(
            f"optimizer._target_={leaves['optimizer._target_']}: must be a ddlab.optimizers.Optimizer or SpectralFilter"
        )
    return METHODS[cls.METHOD]
