"""Progress of a sweep: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TextIO

PLAIN_SECONDS = 10.0


@dataclass(frozen=True)
class Outline:
    """What one pack is within its sweep.

    Attributes:
        pack: its number, from 1.
        num_packs: packs in the sweep.
        trials_before: trials of the packs that are finished.
        num_trials: trials in the sweep.
        pack_trials: trials in this pack.
        steps: optimizer steps of this pack; None where it is solved in closed form.
        share_before: share of the sweep's arithmetic that is done, 0..1.
        share: share of the sweep's arithmetic that this pack is, 0..1.
    """

    pack: int
    num_packs: int
    trials_before: int
    num_trials: int
    pack_trials: int
    steps: int | None
    share_before: float
    share: float


class Progress:
    """Reports one pack; use as a context manager and call `update` at eval points."""

    def __init__(self, outline: Outline, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic):
        self._outline = outline
        self._stream = stream or sys.stderr
        self._clock = clock
        self._first: tuple[float, int] | None = None
        self._printed = float("-inf")
        self._bar: Any = None

    def __enter__(self) -> Progress:
        if self._stream.isatty() and os.environ.get("TERM") != "dumb":
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                BarColumn(bar_width=12),
                TextColumn("{task.percentage:>3.0f}%"),
                TextColumn("{task.description}"),
                console=Console(file=self._stream),
                transient=self._outline.pack < self._outline.num_packs,
            )
            self._bar.start()
            text = f"pack {self._outline.pack}/{self._outline.num_packs}: compiling ..."
            self._task = self._bar.add_task(text, total=1.0, completed=self._outline.share_before)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, step: int, trials_done: int, losses: tuple[float, float] | None) -> None:
        """Report an eval point.

        Args:
            step: optimizer steps made; of a pack that is solved, trials.
            trials_done: trials of this pack that have ended.
            losses: lowest and highest training loss among the pack's live trials; None where all have ended.
        """
        now = self._clock()
        if self._first is None:
            self._first = (now, step)
        words = self._words(step, trials_done, losses, now)
        if self._bar is not None:
            room = self._bar.console.width - 22  # bar, percentage and gaps
            while len(words) > 1 and len(" · ".join(words)) > room:
                words.pop()
            self._bar.update(self._task, completed=self._done(step), description=" · ".join(words))
        elif now - self._printed >= PLAIN_SECONDS or step == self._total or trials_done == self._outline.pack_trials:
            print(" · ".join(words), file=self._stream, flush=True)
            self._printed = now

    def _done(self, step: int) -> float:
        return self._outline.share_before + self._outline.share * step / self._total

    @property
    def _total(self) -> int:
        """Steps, or trials to solve."""
        return self._outline.pack_trials if self._outline.steps is None else self._outline.steps

    def _words(self, step: int, trials_done: int, losses: tuple[float, float] | None, now: float) -> list[str]:
        """Return what there is to say, the most important first."""
        outline = self._outline
        assert self._first is not None
        elapsed, steps = now - self._first[0], step - self._first[1]
        words = [
            f"pack {outline.pack}/{outline.num_packs}",
            f"trials {outline.trials_before + trials_done:,}/{outline.num_trials:,}",
        ]
        if elapsed > 0 and steps > 0:
            left = (1 - self._done(step)) * elapsed * self._total / (steps * outline.share)
            rate = f"{steps / elapsed:,.0f} trials/s"
            if outline.steps is not None:
                rate = f"{steps * outline.pack_trials / elapsed:,.0f} trial-steps/s"
            words += [f"ETA {_clock_text(left)}", rate]
        if losses:
            words.append(f"train loss {losses[0]:.3g} to {losses[1]:.3g}")
        return words if outline.steps is None else [*words, f"step {step:,}/{outline.steps:,}"]


def _clock_text(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
