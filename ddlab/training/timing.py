"""Where the time of a pack goes: steps, evaluation, and the host."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np


@dataclass
class Timing:
    """Sums over the segments of a pack, in seconds; segments of one program cannot be timed inside.

    The devices' time of a segment of n steps is modelled as n a + b for each tile that runs: a by the step, b by the
    evaluation. Both are fitted by least squares, from running sums.

    Attributes:
        run: wall time from the moment the program is there to the last segment, of all runs of the pack.
        busy: of it, with the devices at work on a segment.
        trial_steps: steps made, summed over the trials that made them.
    """

    run: float = 0.0
    busy: float = 0.0
    trial_steps: float = 0
    _aa: float = 0.0
    _ab: float = 0.0
    _bb: float = 0.0
    _ay: float = 0.0
    _by: float = 0.0
    _a_total: float = 0.0
    _b_total: float = 0.0

    def add(self, seconds: float, steps: int, tiles: int, trials: int, waited: bool = True) -> float:
        """Count a segment of so many steps, run on so many tiles and trials; return the seconds that the devices worked on it.

        Args:
            seconds: since the segment before had ended.
            steps: that it made.
            tiles: that ran on a device.
            trials: that were alive.
            waited: the host waited for it; else the devices may have waited for the host, and how long they worked is
                taken from the segments before.
        """
        self.trial_steps += steps * trials
        a, b = steps * tiles, tiles
        if not waited and self._bb:
            per_step, per_eval = self._rates
            seconds = min(seconds, a * per_step + b * per_eval)
        self.busy += seconds
        self._aa += a * a
        self._ab += a * b
        self._bb += b * b
        self._ay += a * seconds
        self._by += b * seconds
        self._a_total += a
        self._b_total += b
        return seconds

    @property
    def _rates(self) -> np.ndarray:
        """Seconds of a step and of an evaluation of a tile, [2]."""
        matrix, right = np.array([[self._aa, self._ab], [self._ab, self._bb]]), np.array([self._ay, self._by])
        return np.clip(np.linalg.lstsq(matrix, right)[0], 0, None)

    @property
    def stepping(self) -> float:
        """Seconds of `busy` that steps took; the rest is evaluation."""
        per_step, per_eval = self._rates
        steps, evals = per_step * self._a_total, per_eval * self._b_total
        return self.busy * steps / (steps + evals) if steps + evals > 0 else 0.0

    def about(self) -> dict[str, float]:
        """Return what is stored with the pack: seconds of steps, evaluation and host, and trial-steps."""
        stepping = self.stepping
        return {
            "run_seconds": self.run,
            "step_seconds": stepping,
            "eval_seconds": self.busy - stepping,
            "host_seconds": max(0.0, self.run - self.busy),
            "trial_steps": self.trial_steps,
        }

    def sums(self) -> dict[str, float]:
        """Return everything, to go on from after an interruption."""
        return asdict(self)
