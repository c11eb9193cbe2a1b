"""One job done ahead in a thread: the next pack compiles while the current one runs."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class Ahead:
    """Holds at most one result that was asked for before it is needed.

    A job cannot be stopped (XLA does not let go of a compilation): a process that ends meanwhile waits for it.
    """

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ddlab-ahead")
        self._key: Hashable = None
        self._future: Future[Any] | None = None

    def start(self, key: Hashable, function: Callable[[], Any]) -> None:
        """Begin `function()` in the thread, unless that was done; `take` with the same key gives its result."""
        if self._future is None or self._key != key:
            self._key, self._future = key, self._executor.submit(function)

    def take(self, key: Hashable, function: Callable[[], Any]) -> Any:
        """Return the result begun under this key; call `function()` where none was, or where it failed.

        What failed beside another job, as for want of memory, may succeed alone; else its error comes here.
        """
        future, self._future = self._future, None
        if future is None or self._key != key or future.exception() is not None:
            return function()
        return future.result()
