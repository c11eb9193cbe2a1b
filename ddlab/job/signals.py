"""SIGINT and SIGTERM, from the first moment of a command to its last: each is recorded, and none is lost."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from ddlab.errors import Interrupted

NUMBERS = (signal.SIGINT, signal.SIGTERM)
REDELIVERY_SECONDS = 0.02

_listening: list[Signals] = []  # signals belong to the process; the innermost listener is the last


class Signals:
    """What has come while a command or a pack listens (see `listen`).

    Attributes:
        received: the first signal; None where none has come.
    """

    def __init__(self, hold: bool):
        self.received: signal.Signals | None = None
        self._hold = hold
        self._raising = False
        self._before: dict[signal.Signals, Any] = {}
        self._redelivery: threading.Thread | None = None
        self._redelivered = False
        self._answered = True  # no Event: its lock would be waited for, by a signal that comes while another one sets it

    def check(self) -> None:
        """Raise `Interrupted` where a signal has come."""
        if self.received is not None:
            raise Interrupted(self.received.name)

    def start(self) -> None:
        """Take the signals over, in the main thread: Python delivers them there only."""
        if threading.current_thread() is threading.main_thread():
            self._hook, sys.unraisablehook = sys.unraisablehook, self._dropped
            self._outlasts_imports = not _importing(sys._getframe())
            _listening.append(self)
            for number in NUMBERS:
                self._before[number] = signal.signal(number, self._receive)
            self._raising = not self._hold
            if self._raising:
                self.check()  # one may have come between the lines above

    def stop(self) -> None:
        """Give the signals back to those who listened before."""
        self._raising = False
        if self in _listening:
            self._end_redelivery()
            self._give_back()
            _listening.remove(self)
            sys.unraisablehook = self._hook

    def _give_back(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        second = self.received is not None and not self._redelivered
        self._redelivered = False
        self.received = self.received or signal.Signals(number)
        if self._hold:
            self._give_back()
        elif self._raising and not second and self._outlasts_imports and _importing(frame):
            self._deliver_again()
        elif self._raising:
            self._answered = True
            raise Interrupted(self.received.name)

    def _dropped(self, unraisable: Any) -> None:
        """Deliver a signal again whose exception Python dropped, as in a hook of the garbage collector (JAX has one)."""
        if isinstance(unraisable.exc_value, Interrupted) and not self._hold:
            self._deliver_again()
        else:
            self._hook(unraisable)

    def _deliver_again(self) -> None:
        """Send the signal again and again from a thread, until it is answered."""
        if self._redelivery is None or self._answered:
            raising, self._raising = self._raising, False  # not while the thread starts: it would be dropped anew
            self._end_redelivery()
            self._answered = False
            self._redelivery = threading.Thread(target=self._deliver, daemon=True)
            self._redelivery.start()
            self._raising = raising

    def _end_redelivery(self) -> None:
        self._answered = True
        if self._redelivery is not None:
            self._redelivery.join()  # its last signal must find us still listening

    def _deliver(self) -> None:
        main = threading.main_thread().ident
        assert main is not None
        assert self.received is not None
        time.sleep(REDELIVERY_SECONDS)
        while not self._answered:
            self._redelivered = True
            signal.pthread_kill(main, self.received)
            time.sleep(REDELIVERY_SECONDS)


def _importing(frame: FrameType | None) -> bool:
    """Whether a module is being imported: an exception there leaves half a module, and crashes some that are written in C."""
    while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None


@contextmanager
def listen(hold: bool = False) -> Iterator[Signals]:
    """Answer SIGINT and SIGTERM until the block ends.

    Args:
        hold: record the first signal only, for the block to ask; a second one does what it did before the block. Otherwise a
            signal raises `Interrupted` in the main thread: the first one after the import that it came in, a second one at once.

    Raises:
        Interrupted: a signal has come, whatever became of it in the block.
    """
    signals = Signals(hold)
    try:
        signals.start()
        yield signals
    except Exception as error:
        if signals.received is not None and not hold:
            raise Interrupted(signals.received.name) from error  # what fails after a signal fails by it
        raise
    finally:
        signals.stop()
    signals.check()


def check() -> None:
    """Raise `Interrupted` where a signal has come that whoever was interrupted kept to itself."""
    for signals in _listening:
        signals.check()
