"""What a pack that runs has to do with: the store, the terminal and signals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ddlab.config.schema import PackSettings
from ddlab.job.parents import Parents
from ddlab.job.progress import Progress
from ddlab.job.recorder import Recorder
from ddlab.job.signals import Signals
from ddlab.store.kept import Wanted
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
        parents: the trials that its own may start from.
        wanted: step -> what is kept of its trials there, for others to start from.
        wanted_at_end: what is kept of them when they end, likewise.
    """

    store: Store
    pack: int
    recorder: Recorder
    settings: PackSettings
    waited: float
    signals: Signals
    progress: Progress
    parents: Parents
    wanted: Mapping[int, Wanted]
    wanted_at_end: Wanted
