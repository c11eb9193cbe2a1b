"""The cost model of a machine, made of a few numbers that are measured once (`ddlab.run.speed`)."""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Machine:
    """How fast a machine is.

    A step of a device takes `tile_seconds` for each tile and, for each trial, the seconds that `curve` gives for the
    operations of its step.

    Attributes:
        compile_seconds: of any program.
        operation_seconds: of compiling it, for each operation that its network is written in.
        tile_seconds: of a step of a tile, whatever it holds.
        curve: (operations of a step of one trial, seconds that it takes of a device), ascending.
        num_devices: local devices.
        working_bytes: of the arrays that a device works on best (`ddlab.devices.local.working_bytes`).
        cores: the devices are cores of the CPU, which have their memory in common with the host.
    """

    compile_seconds: float
    operation_seconds: float
    tile_seconds: float
    curve: tuple[tuple[float, float], ...]
    num_devices: int
    working_bytes: int
    cores: bool

    def program_seconds(self, num_operations: int) -> float:
        """Return how long it takes to make the programs that train and measure a network written in so many operations."""
        return self.compile_seconds + num_operations * self.operation_seconds

    def trial_seconds(self, step_flops: float) -> float:
        """Return the seconds that a step of one trial takes of a device: on log-log lines between what was measured.

        Below the first measured point it is as slow as there, beyond the last it goes at the rate reached there.
        """
        operations, seconds = zip(*self.curve, strict=True)
        if step_flops >= operations[-1]:
            return self.bulk_seconds(step_flops)
        index = bisect.bisect_right(operations, step_flops)
        if index == 0:
            return seconds[0]
        (x0, y0), (x1, y1) = self.curve[index - 1], self.curve[index]
        share = math.log(step_flops / x0) / math.log(x1 / x0)
        return y0 * (y1 / y0) ** share

    def bulk_seconds(self, flops: float) -> float:
        """Return the seconds that operations of large products take of a device."""
        operations, seconds = self.curve[-1]
        return seconds * flops / operations
