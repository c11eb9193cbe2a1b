"""Where the time of a pack goes: steps, evaluation, and the host."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass
class Timing:
    """Seconds of a pack, of all its runs.

    Attributes:
        run: wall time from the moment the program is there to the last eval point.
        steps: of it, with the devices at work on steps.
        evals: of it, with the devices at work on evaluation.
        trial_steps: steps made, summed over the trials that made them.
    """

    run: float = 0.0
    steps: float = 0.0
    evals: float = 0.0
    trial_steps: float = 0

    def about(self) -> dict[str, float]:
        """Return what is stored with the pack: seconds of steps, evaluation and host, and trial-steps."""
        return {
            "run_seconds": self.run,
            "step_seconds": self.steps,
            "eval_seconds": self.evals,
            "host_seconds": max(0.0, self.run - self.steps - self.evals),
            "trial_steps": self.trial_steps,
        }

    def sums(self) -> dict[str, float]:
        """Return everything, to go on from after an interruption."""
        return asdict(self)
