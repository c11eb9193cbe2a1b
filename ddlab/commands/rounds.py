"""The rounds of a sweep: the trials of its axes, and then those that are proposed by what is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from ddlab.commands.planning import Planned, Proposal
from ddlab.commands.refinement import refine
from ddlab.plan.trials import make_trials
from ddlab.run.settle import settle
from ddlab.store.store import Store

# Each is asked when the rounds before it are done, and says what follows; None: nothing, or they are not.
PROPOSALS: tuple[Callable[[Planned, Store], Proposal | None], ...] = (refine,)


def rounds(planned: Planned, store: Store) -> Iterator[Planned]:
    """Yield what is to be run, one round after the other, each to be run before the next is asked for."""
    yield planned
    for propose in PROPOSALS:
        if proposal := propose(planned, store):
            yield replace(planned, trials=make_trials(proposal.parts, settle), round=proposal.name, why=proposal.why)
