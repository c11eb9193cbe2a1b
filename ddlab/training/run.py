"""A pack that is trained: from its start, or its last commit, to its outcome.

While the devices make the steps to eval point k, the host records eval point k-1. A *commit* writes the metrics so far and a
checkpoint; at least `pack.checkpoint_seconds` lie between two, unless many rows wait. A killed pack goes on from its last commit,
a signalled one from the eval point it had reached, and both give the curves of an uninterrupted run, bit for bit: the compiled
program is the same.
"""

from __future__ import annotations

import time
import warnings
from types import MappingProxyType
from typing import NamedTuple

import jax
import numpy as np

from ddlab.config.trial import clock_of, parse
from ddlab.devices.layout import Layout
from ddlab.errors import StoreError
from ddlab.files import DamagedPart
from ddlab.job.job import Job
from ddlab.job.outcomes import Outcomes
from ddlab.job.profile import Profile
from ddlab.job.recorder import Ended
from ddlab.job.timing import Timing
from ddlab.measures.evaluate import Metrics
from ddlab.measures.points import recorded_steps
from ddlab.store.kept import Wanted
from ddlab.store.results import STOPPED
from ddlab.training.begin import begun, refs
from ddlab.training.checkpoints import Checkpoint, Checkpoints
from ddlab.training.keep import keep_of
from ddlab.training.prepare import Prepared
from ddlab.training.state import State
from ddlab.training.teach import taught

# Trials that have ended are left out once this share of the tiles, or less, is enough for the others.
WORTH_MOVING = 0.9


class _Point(NamedTuple):
    """An eval point that the devices have measured, and the host has yet to record.

    Attributes:
        step: of it.
        num_steps: that led to it from the one before.
        metrics: on the devices.
        layout: where the trials lie in them.
    """

    step: int
    num_steps: int
    metrics: Metrics
    layout: Layout


class TrainingRun:
    """One pack from its start, or its last commit, to its outcome."""

    def __init__(self, job: Job, prepared: Prepared):
        self._job, self._recorder = job, job.recorder
        self._prepared = prepared = taught(prepared, job.parents)
        self._placed = prepared.compiled.place()
        self._checkpoints = Checkpoints(job.store.checkpoint_directory(job.pack), list(prepared.trial_ids))
        self._orphans = np.array([not all(map(job.parents.lives, refs(parse(leaves)))) for leaves in prepared.trials])
        self._outcomes = self._new_outcomes()
        self._steps = [int(step) for step in recorded_steps(prepared.train, clock_of(prepared.trials[0]))]
        self._num_evals = 0
        self._timing = Timing()

    def run(self) -> None:
        started = time.monotonic()
        with Profile(self._job.store.profile_directory(self._job.pack)) as profile:
            state = self._restore()
            self._started = started - self._timing.run  # as if the runs before had just ended
            self._train_from(state, profile if self._job.settings.profile else None)
        self._job.signals.check()

    def _train_from(self, state: State, profile: Profile | None) -> None:
        # What the first call costs beside its arithmetic is no part of a step.
        state = jax.block_until_ready(self._placed.advance(state, max(0, int(state.step))))
        self._recorder.begin()
        before: _Point | None = None
        for index in range(self._num_evals, len(self._steps)):
            # The devices have measured eval point k-1. They consume a state, so a copy for the commit is taken before they go on
            # to k; while they do, the host records k-1 and commits. So is one of which weights are kept if a trial ends there.
            is_due = before is not None and self._recorder.part_is_due
            snapshot = self._placed.to_host(state) if is_due or (before is not None and self._may_keep_ended) else None
            state = self._without_ended(state)
            if profile is not None and before is not None:
                profile.follow()
            step, dispatched = self._steps[index], time.monotonic()
            state = self._placed.advance(self._kept_until(state, index), step)
            if before is not None:
                self._record(before, snapshot)
            if is_due and snapshot is not None:
                self._commit(snapshot)
            num_steps = step - self._steps[index - 1] if index else 0
            before = _Point(step, num_steps, self._measured(state, dispatched), self._placed.layout)
            if self._job.signals.received or not self._outcomes.alive.any():
                break
        if before is not None:
            self._record(before, self._placed.to_host(state) if self._may_keep_ended else None)
        if self._outcomes.alive.any() and self._num_evals < len(self._steps):
            self._commit(self._placed.to_host(state))
        else:
            self._finish()

    def _without_ended(self, state: State) -> State:
        """Leave out the trials that have ended, where that saves a good part of the tiles; the others are not changed."""
        alive, layout = self._outcomes.alive, self._placed.layout
        if not alive.any() or layout.with_trials(alive).busy.max() > WORTH_MOVING * layout.busy.max():
            return state
        host = self._placed.to_host(state)
        self._placed = self._prepared.compiled.place(alive)
        return self._placed.to_devices(host)

    def _kept_until(self, state: State, index: int) -> State:
        """Advance to each step up to an eval point at which weights are kept for others, and keep them."""
        before = self._steps[index - 1] if index else self._steps[0] - 1
        for at in [at for at in self._job.wanted if before < at <= self._steps[index]]:
            dispatched = time.monotonic()
            state = self._placed.advance(state, at)
            jax.block_until_ready(state.step)
            self._timing.steps += time.monotonic() - dispatched
            host = self._placed.to_host(state)
            keep_of(self._prepared, host, at, self._job.wanted[at], self._job.store, self._job.pack)
        return state

    @property
    def _may_keep_ended(self) -> bool:
        """Whether trials of the pack may end at a step that is not known, and others start from them there."""
        return self._prepared.train.stop_metric is not None and bool(self._job.wanted or self._job.wanted_at_end.trials)

    def _keep_ended(self, state: State, step: int, recorded: np.ndarray) -> None:
        """Keep what others start from of the trials that have ended at a step, with what was to be kept there in any case."""
        has_ended = recorded & ((self._outcomes.status == STOPPED) | (step == self._steps[-1]))
        at_end, later = self._job.wanted_at_end, [what for at, what in self._job.wanted.items() if at > step]
        asked = at_end.trials.union(*(what.trials for what in later))
        ended = asked & set(self._prepared.trial_ids[has_ended])
        if ended:
            here = self._job.wanted.get(step, Wanted())
            optimizer = any(what.optimizer for what in (at_end, here, *later))
            keep_of(self._prepared, state, step, Wanted(ended | here.trials, optimizer), self._job.store, self._job.pack)

    def _new_outcomes(self) -> Outcomes:
        return Outcomes(self._prepared.trials, self._prepared.untrained_losses, self._orphans)

    def _measured(self, state: State, dispatched: float) -> Metrics:
        """Wait until the devices have made the steps handed to them, then until they have measured the trials; count the seconds.

        Where the steps were made before the host looked, it had more to do than the devices: then these seconds are the host's.
        """
        is_late = state.step.is_ready()
        jax.block_until_ready(state.step)
        reached = time.monotonic()
        metrics = jax.block_until_ready(self._placed.evaluate(state))
        if not is_late:
            self._timing.steps += reached - dispatched
        self._timing.evals += time.monotonic() - reached
        return metrics

    def _record(self, point: _Point, state: State | None) -> None:
        """Take the metrics of one eval point; state: there, on the host, where weights are kept of trials that end."""
        self._timing.trial_steps += point.num_steps * int(self._outcomes.alive.sum())
        host = point.layout.take(point.metrics)
        recorded = self._outcomes.update(point.step, host)
        if state is not None and self._may_keep_ended:
            self._keep_ended(state, point.step, recorded)
        if recorded.any():
            self._recorder.rows.add(self._prepared.trial_ids, point.step, host, recorded)
        self._num_evals += 1
        losses = host["train_loss"][self._outcomes.alive]
        extremes = (float(losses.min()), float(losses.max())) if len(losses) else None
        ended = len(self._prepared.trial_ids) if point.step == self._steps[-1] else int((~self._outcomes.alive).sum())
        self._job.progress.update(point.step, ended, extremes)

    def _commit(self, state: State) -> None:
        self._timing.run = time.monotonic() - self._started
        self._recorder.write_part()
        self._checkpoints.save(Checkpoint(state, self._num_evals, self._recorder.num_parts, self._timing))
        self._recorder.begin()

    def _finish(self) -> None:
        self._timing.run = time.monotonic() - self._started
        prepared, outcomes = self._prepared, self._outcomes
        ended = Ended(prepared.trial_ids, outcomes.status, outcomes.last_step, prepared.checksums)
        about = {**prepared.compiled.build.about(), "waited_seconds": self._job.waited}
        self._recorder.finish(ended, np.array(self._steps), self._timing, about)
        if not self._job.settings.keep_checkpoints:
            self._checkpoints.remove()

    def _restore(self) -> State:
        """Return the state of the last commit, its rows replayed; a fresh one where there is none."""
        found = self._checkpoints.restore(self._prepared.compiled.shapes)
        outcomes = self._replayed(found.num_parts) if found else None
        self._recorder.go_on(found.num_parts if found and outcomes else 0)
        if found is None or outcomes is None:
            return begun(self._prepared.trials, self._placed, self._job.parents)
        state, self._num_evals, _, self._timing = found
        self._outcomes = outcomes
        return self._placed.to_devices(state)

    def _replayed(self, num_parts: int) -> Outcomes | None:
        """Return what became of the trials by the first parts of the curves, one part after the other; None: one is damaged."""
        outcomes = self._new_outcomes()
        index = MappingProxyType({trial_id: k for k, trial_id in enumerate(self._prepared.trial_ids)})
        try:
            for part in range(num_parts):
                outcomes.replay(index, self._job.store.read_part(self._job.pack, part))
        except StoreError as error:
            warnings.warn(f"{error}; pack {self._job.pack} is trained again", DamagedPart, stacklevel=2)
            return None
        return outcomes
