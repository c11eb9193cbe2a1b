"""How a pack that runs gets at the trials that its own start from."""

from __future__ import annotations

from typing import Protocol

from ddlab.config.trial import Leaves
from ddlab.starts import Kept, Ref


class Parents(Protocol):
    """The trials that others start from."""

    def lives(self, ref: Ref) -> bool:
        """Whether there are weights of a trial at a step: it had not diverged before, and its own parents live."""

    def leaves(self, ref: Ref) -> Leaves:
        """Return the leaves of a trial that is done."""

    def kept(self, ref: Ref, optimizer: bool) -> Kept:
        """Return what is kept of a trial that lives at a step; made again where it is lost.

        Args:
            ref: the trial and the step.
            optimizer: the state of its optimizer, too.
        """
