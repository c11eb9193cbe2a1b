"""What a pack that runs has to do with: the store, the terminal and signals."""

from __future__ import annotations

from typing import NamedTuple

from ddlab.config.schema import PackSettings
from ddlab.job.progress import Progress
from ddlab.job.recorder import Recorder
from ddlab.job.signals import Signals
from ddlab.store.store import Store

# The environment variable in which a command leaves its process's number to those that it launches.
COMMAND = "DDLAB_COMMAND"


class Job(NamedTuple):
    """One pack to be run.

    Attributes:
        store: where its metrics go.
        pack: its number.
        recorder: of its metrics.
        settings: of the run.
        waited: seconds spent waiting for its program.
        signals: that have come.
        progress: shown to the user.
    """

    store: Store
    pack: int
    recorder: Recorder
    settings: PackSettings
    waited: float
    signals: Signals
    progress: Progress
