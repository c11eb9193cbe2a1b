"""What a rule says of a component."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Status(enum.Enum):
    """Whether a component keeps a rule."""

    KEPT = "kept"
    BROKEN = "broken"
    SKIPPED = "does not apply"


@dataclass(frozen=True)
class Verdict:
    """What a rule says of a component, with the reason in one line where it is not kept."""

    status: Status
    reason: str = ""


KEPT = Verdict(Status.KEPT)


def broken(reason: str) -> Verdict:
    """Return the verdict that the rule is broken, and why."""
    return Verdict(Status.BROKEN, reason)


def skipped(reason: str) -> Verdict:
    """Return the verdict that the rule does not apply, or cannot be checked, and why."""
    return Verdict(Status.SKIPPED, reason)


def verdict_of(problem: str) -> Verdict:
    """Return that a rule is broken where there is a problem in words, else that it is kept."""
    return broken(problem) if problem else KEPT
