"""What a pack that runs has to do with: the store, the terminal and signals."""

from __future__ import annotations

import signal
import threading
from typing import Any, NamedTuple

from ddlab.config import PackSettings
from ddlab.progress import Progress
from ddlab.store import Store
from ddlab.writer import PackWriter

# The environment variable in which a command leaves its process's number to those that it launches.
COMMAND = "DDLAB_COMMAND"


class Signals:
    """Turns the first SIGINT or SIGTERM into a request to stop at the next eval point; a second one acts at once."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None

    def __enter__(self) -> Signals:
        self._before = {}
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._receive) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: Any) -> None:
        del frame
        self.received = signal.Signals(number)
        for caught, handler in self._before.items():
            signal.signal(caught, handler)


class Job(NamedTuple):
    """One pack to be run.

    Attributes:
        store: where its metrics go.
        pack: its number.
        writer: of its metrics.
        settings: of the run.
        waited: seconds spent waiting for its program.
        signals: that have come.
        progress: shown to the user.
    """

    store: Store
    pack: int
    writer: PackWriter
    settings: PackSettings
    waited: float
    signals: Signals
    progress: Progress
