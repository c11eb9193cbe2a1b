"""A pack that is trained: from its first segment, or its last commit, to its outcome.

While the devices compute segment k, the host records segment k-1. A *commit* writes the metrics so far and a checkpoint; at
least `pack.checkpoint_seconds` lie between two, unless many rows wait. A killed pack goes on from its last commit, a signalled
one from the eval point it had reached, and both give the curves of an uninterrupted run, bit for bit: the compiled program is
the same.
"""

from __future__ import annotations

import time
import warnings
from types import MappingProxyType
from typing import NamedTuple

import jax
import numpy as np

from ddlab.devices.layout import Layout
from ddlab.errors import StoreError
from ddlab.files import DamagedPart
from ddlab.job.job import Job
from ddlab.job.outcomes import Outcomes
from ddlab.job.profile import Profile
from ddlab.job.writer import count_rows
from ddlab.measures.evaluate import Metrics
from ddlab.measures.points import eval_steps
from ddlab.store.rows import most_waiting
from ddlab.training.checkpoints import Checkpoint, Checkpoints
from ddlab.training.prepare import Prepared
from ddlab.training.program import State
from ddlab.training.timing import Timing

# Trials that have ended are left out once this share of the tiles, or less, is enough for the others.
WORTH_MOVING = 0.9


class _Segment(NamedTuple):
    """A segment that the devices work on.

    Attributes:
        step: its eval point.
        num_steps: steps that it makes.
        metrics: not yet there.
        layout: where the trials lie in it.
        dispatched: when it was handed to the devices.
    """

    step: int
    num_steps: int
    metrics: Metrics
    layout: Layout
    dispatched: float


class TrainingRun:
    """One pack from its first segment, or its last commit, to its outcome."""

    def __init__(self, job: Job, prepared: Prepared):
        self._job, self._writer = job, job.writer
        self._prepared, self._compiled = prepared, prepared.compiled
        self._checkpoints = Checkpoints(job.store.checkpoint_directory(job.pack), list(prepared.trial_ids))
        self._outcomes = Outcomes(prepared.train, prepared.untrained_losses)
        self._steps = [int(step) for step in eval_steps(prepared.train)]
        self._num_evals = 0
        self._timing = Timing()

    def run(self) -> None:
        self._started = time.monotonic()
        with Profile(self._job.store.profile_directory(self._job.pack)) as profile:
            self._train_from(self._restore(), profile if self._job.settings.profile else None)
        self._job.signals.check()

    def _train_from(self, state: State, profile: Profile | None) -> None:
        # The first segment costs more than its arithmetic; one without steps keeps that out of what evaluation is said to cost.
        state, _ = jax.block_until_ready(self._compiled.segment(state, max(0, int(state.step))))
        self._ready = committed = time.monotonic()
        started, before = self._started, self._timing.run
        waiting: _Segment | None = None
        for index in range(self._num_evals, len(self._steps)):
            is_full = self._writer.rows.num_bytes >= most_waiting(self._job.settings.memory)
            is_time = time.monotonic() - committed >= self._job.settings.checkpoint_seconds
            commit_due = waiting is not None and (is_full or is_time)
            snapshot = self._compiled.to_host(state) if commit_due else None
            state = self._without_ended(state)
            if profile is not None and waiting is not None:
                profile.follow()
            dispatched, step = time.monotonic(), self._steps[index]
            state, metrics = self._compiled.segment(state, step)
            if waiting is not None:
                self._record(waiting)
            if snapshot is not None:
                self._timing.run = before + time.monotonic() - started
                self._commit(snapshot)
                committed = time.monotonic()
            num_steps = step - self._steps[index - 1] if index else 0
            waiting = _Segment(step, num_steps, metrics, self._compiled.layout, dispatched)
            if self._job.signals.received or not self._outcomes.alive.any():
                break
        if waiting is not None:
            self._record(waiting)
        self._timing.run = before + time.monotonic() - started
        if self._outcomes.alive.any() and self._num_evals < len(self._steps):
            self._commit(self._compiled.to_host(state))
        else:
            self._finish()

    def _without_ended(self, state: State) -> State:
        """Leave out the trials that have ended, where that saves a good part of the tiles; the others are not changed."""
        alive, layout = self._outcomes.alive, self._compiled.layout
        if not alive.any() or layout.with_trials(alive).busy.max() > WORTH_MOVING * layout.busy.max():
            return state
        host = self._compiled.to_host(state)
        self._compiled = self._compiled.without_ended(alive)
        return self._compiled.to_devices(host)

    def _record(self, segment: _Segment) -> None:
        """Take the metrics of one eval point; waits until the devices have them."""
        waited = not all(array.is_ready() for array in segment.metrics.values())
        host = segment.layout.take(segment.metrics)
        began = max(segment.dispatched, self._ready)
        tiles, alive = int(segment.layout.busy.max()), int(self._outcomes.alive.sum())
        self._ready = began + self._timing.add(time.monotonic() - began, segment.num_steps, tiles, alive, waited)
        recorded = self._outcomes.update(segment.step, host)
        if recorded.any():
            self._writer.rows.add(self._prepared.trial_ids, segment.step, host, recorded)
        self._num_evals += 1
        losses = host["train_loss"][self._outcomes.alive]
        extremes = (float(losses.min()), float(losses.max())) if len(losses) else None
        ended = len(self._prepared.trial_ids) if segment.step == self._steps[-1] else int((~self._outcomes.alive).sum())
        self._job.progress.update(segment.step, ended, extremes)

    def _commit(self, state: State) -> None:
        self._writer.write_part()
        self._checkpoints.save(Checkpoint(state, self._num_evals, self._writer.num_parts, self._timing))

    def _finish(self) -> None:
        self._writer.write_part()
        num_trials = len(self._prepared.trial_ids)
        columns = {
            "trial_id": list(self._prepared.trial_ids),
            "status": list(self._outcomes.status),
            "last_step": self._outcomes.last_step,
            "num_rows": count_rows(np.array(self._steps), self._outcomes.last_step),
            "seconds": np.full(num_trials, self._timing.run / num_trials),
            "data_checksum": list(self._prepared.checksums),
        }
        about = {
            "devices": [str(device) for device in jax.local_devices()],
            "jax": jax.__version__,
            "trace_seconds": self._compiled.trace_seconds,
            "compile_seconds": self._compiled.compile_seconds,
            "waited_seconds": self._job.waited,
            **self._timing.about(),
        }
        self._writer.write_outcome(columns, about)
        if not self._job.settings.keep_checkpoints:
            self._checkpoints.remove()

    def _restore(self) -> State:
        """Return the state of the last commit, its rows replayed; a fresh one where there is none."""
        found = self._checkpoints.restore(self._compiled.shapes)
        outcomes = self._replayed(found.num_parts) if found else None
        self._writer.go_on(found.num_parts if found and outcomes else 0)
        if found is None or outcomes is None:
            return self._compiled.begin()
        state, self._num_evals, _, self._timing = found
        self._outcomes = outcomes
        return self._compiled.to_devices(state)

    def _replayed(self, num_parts: int) -> Outcomes | None:
        """Return what became of the trials by the first parts of the curves, one part after the other; None: one is damaged."""
        outcomes = Outcomes(self._prepared.train, self._prepared.untrained_losses)
        index = MappingProxyType({trial_id: k for k, trial_id in enumerate(self._prepared.trial_ids)})
        try:
            for part in range(num_parts):
                outcomes.replay(index, self._job.store.read_part(self._job.pack, part))
        except StoreError as error:
            warnings.warn(f"{error}; pack {self._job.pack} is trained again", DamagedPart, stacklevel=2)
            return None
        return outcomes
