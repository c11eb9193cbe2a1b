"""A pack that is solved in closed form, problem by problem.

An accelerator solves some problems while the host draws the data of the next; CPU devices solve them before the call returns.
Every `pack.checkpoint_seconds`, or once many rows wait, what is solved is written as a part of whole problems; a pack that was
interrupted goes on behind its last part.
"""

from __future__ import annotations

import time
import warnings
from typing import NamedTuple

import jax
import numpy as np

from ddlab.data.loader import Loader
from ddlab.errors import StoreError
from ddlab.files import DamagedPart
from ddlab.job.job import Job
from ddlab.job.outcomes import Outcomes, untrained_losses
from ddlab.job.profile import Profile
from ddlab.job.recorder import Ended
from ddlab.job.timing import Timing
from ddlab.measures.evaluate import Metrics
from ddlab.measures.points import eval_steps
from ddlab.solving.compiled import one_thread_a_device
from ddlab.solving.deal import each_once
from ddlab.solving.prepare import Prepared
from ddlab.solving.problem import make_problem


class _Chunk(NamedTuple):
    """Problems [n, W, L] that the devices work on, and their metrics, not yet there."""

    problems: np.ndarray
    metrics: Metrics

    def take(self, places: np.ndarray) -> Metrics:
        """Return the metrics of some of the trials on the host, name -> [T, E, ...], and let go of all one by one."""
        return {name: _by_trial(self.metrics.pop(name))[places] for name in list(self.metrics)}


def _by_trial(array: jax.Array) -> np.ndarray:
    return np.asarray(array).reshape(-1, *array.shape[3:])


class SolvingRun:
    """One pack from its first problem, or the first that is not stored, to its outcome."""

    def __init__(self, job: Job, prepared: Prepared):
        self._job, self._recorder, self._prepared = job, job.recorder, prepared
        num_trials = len(prepared.trial_ids)
        self._steps = [int(step) for step in eval_steps(prepared.train)]
        self._solved = np.zeros(num_trials, bool)
        self._status = np.full(num_trials, "", object)
        self._last_step = np.zeros(num_trials, int)
        self._checksums = np.full(num_trials, "", object)
        self._untrained_losses = np.full(num_trials, np.nan)
        self._timing = Timing(trial_steps=num_trials * prepared.train.steps)

    def run(self) -> None:
        started = time.monotonic()
        self._restore()
        with one_thread_a_device(), Profile(self._job.store.profile_directory(self._job.pack)) as profile:
            self._solve_all(profile if self._job.settings.profile else None)
        self._timing.run = time.monotonic() - started
        if self._solved.all():
            self._finish()
        else:
            self._recorder.write_part()
        self._job.signals.check()

    def _solve_all(self, profile: Profile | None) -> None:
        problems, at_once = self._prepared.problems, self._prepared.solver.num_problems
        loader, waiting = Loader(), None
        self._recorder.begin()
        for start in range(0, len(problems), at_once):
            if profile is not None:
                profile.follow()
            chunk = self._dispatch(problems[start : start + at_once], loader)
            if waiting is not None:
                self._record(waiting)
            waiting = chunk
            if self._recorder.part_is_due:
                self._recorder.write_part()
            if self._job.signals.received:
                break
        if waiting is not None:
            self._record(waiting)

    def _dispatch(self, problems: np.ndarray, loader: Loader) -> _Chunk | None:
        """Load the data of some problems [n, W, L] and hand those that are not solved to the devices."""
        wanted, made = ~self._solved[problems].all(axis=(1, 2)), []
        for indices, is_wanted in zip(problems, wanted, strict=True):
            trials = [self._prepared.trials[index] for index in indices.ravel()]
            datasets = loader.load(trials)
            self._checksums[indices.ravel()] = [dataset.checksum for dataset in datasets]
            self._untrained_losses[indices.ravel()] = untrained_losses(trials, datasets)
            if is_wanted:
                made.append(make_problem(trials, datasets, len(indices)))
        if not made:
            return None
        start = time.monotonic()
        chunk = _Chunk(problems[wanted], self._prepared.solver.solve(made))
        self._timing.steps += time.monotonic() - start  # CPU devices solve before the call returns
        return chunk

    def _record(self, chunk: _Chunk) -> None:
        """Take the metrics of some problems; waits until the devices have them."""
        start = time.monotonic()
        jax.block_until_ready(chunk.metrics)
        self._timing.steps += time.monotonic() - start
        trials, places = each_once(chunk.problems)
        new = ~self._solved[trials]  # some are stored, where they were dealt otherwise, for other devices
        trials, places = trials[new], places[new]
        metrics = chunk.take(places)
        outcomes = Outcomes([self._prepared.trials[trial] for trial in trials], self._untrained_losses[trials])
        at_steps = {name: np.moveaxis(array, 1, 0) for name, array in metrics.items()}  # [E, T], or [E, T, n]
        recorded = np.empty((len(self._steps), len(trials)), bool)
        for k, step in enumerate(self._steps):
            recorded[k] = outcomes.update(step, {name: array[k] for name, array in at_steps.items()})
        self._recorder.rows.add(self._prepared.trial_ids[trials], np.array(self._steps)[:, None], at_steps, recorded)
        self._take(trials, outcomes)
        losses = metrics["train_loss"][:, -1]
        num_solved = int(self._solved.sum())
        self._job.progress.update(num_solved, num_solved, (float(losses.min()), float(losses.max())))

    def _take(self, trials: np.ndarray, outcomes: Outcomes) -> None:
        self._solved[trials] = True
        self._status[trials], self._last_step[trials] = outcomes.status, outcomes.last_step

    def _restore(self) -> None:
        """Take what is stored of the pack; where a part is damaged it is solved again from the start."""
        store, pack, loader = self._job.store, self._job.pack, Loader()
        places = {trial_id: place for place, trial_id in enumerate(self._prepared.trial_ids)}
        num_parts = 0
        while store.part_file(pack, num_parts).exists():
            try:
                rows = store.read_part(pack, num_parts)
            except StoreError as error:
                warnings.warn(f"{error}; pack {pack} is solved again", DamagedPart, stacklevel=2)
                num_parts = 0
                self._solved[:] = False
                break
            ids = list(dict.fromkeys(rows["trial_id"]))
            trials = np.array([places[trial_id] for trial_id in ids])
            for place in trials:  # one after the other: the data of all need not fit into memory
                dataset = loader.load([self._prepared.trials[place]])
                self._untrained_losses[place] = untrained_losses([self._prepared.trials[place]], dataset)[0]
            outcomes = Outcomes([self._prepared.trials[trial] for trial in trials], self._untrained_losses[trials])
            outcomes.replay({trial_id: place for place, trial_id in enumerate(ids)}, rows)
            self._take(trials, outcomes)
            num_parts += 1
        self._recorder.go_on(num_parts)

    def _finish(self) -> None:
        ended = Ended(self._prepared.trial_ids, self._status, self._last_step, list(self._checksums))
        about = {**self._prepared.solver.build.about(), "waited_seconds": self._job.waited}
        self._recorder.finish(ended, np.array(self._steps), self._timing, about)
