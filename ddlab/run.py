"""Executes one pack: the program on the devices, and its effects on the store, the terminal and signals.

While the devices compute segment k, the host records segment k-1. A *commit* writes the metrics so far and a checkpoint; at
least `pack.checkpoint_seconds` lie between two. A killed pack goes on from its last commit, a signalled one from the eval
point it had reached, and both give the curves of an uninterrupted run, bit for bit: the compiled program is the same.
"""

from __future__ import annotations

import signal
import threading
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax
import numpy as np

from ddlab.checkpoints import Checkpoint, Checkpoints
from ddlab.config import Leaves, Mark, Pack, build, declarations, load_leaves, train_settings, width_key
from ddlab.data import Dataset
from ddlab.devices import compile_pack, use_cpu_cores
from ddlab.errors import Interrupted, StoreError
from ddlab.outcome import Outcomes
from ddlab.progress import Outline, Progress
from ddlab.store import DamagedPart, Store
from ddlab.train import State, eval_steps, make_inputs, make_program


def run_pack(root: str | Path, index: int, settings: Pack) -> None:
    """Train pack `index` of the sweep stored at `root`, going on from its checkpoint where there is one.

    Raises:
        Interrupted: SIGINT or SIGTERM came; the pack is committed at the eval point it had reached.
    """
    store = Store(root)
    rows = store.read_plan(pack=index)
    trials = [load_leaves(config) for config in rows["config"]]
    use_cpu_cores(settings.cpu_devices)
    with jax.enable_x64(train_settings(trials[0]).dtype == "float64"):
        outline = _outline(store, index, train_settings(trials[0]).steps)
        with _Signals() as signals, Progress(outline) as progress:
            _PackRun(store, index, settings, list(rows["trial_id"]), trials, signals, progress).run()


def _outline(store: Store, index: int, steps: int) -> Outline:
    plan = store.read_plan(columns=["pack", "flops"])
    finished = plan["pack"].isin(store.finished_packs())
    work = plan["flops"] / plan["flops"].sum()
    own = plan["pack"] == index
    return Outline(
        pack=int(plan.loc[finished, "pack"].nunique()) + 1,
        num_packs=int(plan["pack"].nunique()),
        trials_before=int(finished.sum()),
        num_trials=len(plan),
        pack_trials=int(own.sum()),
        steps=steps,
        share_before=float(work[finished].sum()),
        share=float(work[own].sum()),
    )


class _Signals:
    """Turns the first SIGINT or SIGTERM into a request to stop at the next eval point; a second one acts at once."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None

    def __enter__(self) -> _Signals:
        self._before = {}
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._receive) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: Any) -> None:
        del frame
        self.received = signal.Signals(number)
        for caught, handler in self._before.items():
            signal.signal(caught, handler)


def load_datasets(trials: list[Leaves]) -> list[Dataset]:
    """Return each trial's data set; equal configs share one object."""
    loaded: dict[Any, Dataset] = {}
    datasets = []
    for leaves in trials:
        source = build(leaves, "data")
        key = repr(sorted((key, value) for key, value in leaves.items() if key.startswith("data.")))
        if key not in loaded:
            loaded[key] = source.load()
        datasets.append(loaded[key])
    return datasets


def traced_keys(leaves: Leaves) -> list[str]:
    """Return the leaves that enter the program as numbers; those of the data set act through its arrays."""
    marks = {key: declared.mark for key, declared in declarations(leaves).items() if not key.startswith("data.")}
    return [key for key, mark in marks.items() if mark in (Mark.TRACED, Mark.WIDTH)]


@dataclass
class _Buffer:
    """Rows recorded since the last commit."""

    columns: dict[str, list[np.ndarray]] = field(default_factory=dict)

    def add(self, trial_ids: np.ndarray, step: int, metrics: Mapping[str, np.ndarray], recorded: np.ndarray) -> None:
        rows = {"trial_id": trial_ids, "step": np.full(len(trial_ids), step, np.int64), **metrics}
        for name, values in rows.items():
            self.columns.setdefault(name, []).append(values[recorded])

    def take(self) -> dict[str, np.ndarray]:
        columns = {name: np.concatenate(values) for name, values in self.columns.items()}
        self.columns = {}
        return columns


class _PackRun:
    """One pack from its first segment, or its last commit, to its outcome."""

    def __init__(
        self,
        store: Store,
        index: int,
        settings: Pack,
        trial_ids: list[str],
        trials: list[Leaves],
        signals: _Signals,
        progress: Progress,
    ):
        self._store, self._index, self._settings = store, index, settings
        self._trial_ids = np.array(trial_ids, object)
        self._signals, self._progress = signals, progress
        self._train = train_settings(trials[0])
        width = width_key(trials[0])
        widest = max(trials, key=lambda leaves: leaves[width]) if width else trials[0]
        self._datasets = load_datasets(trials)
        program = make_program(widest, self._datasets[0])
        self._compiled = compile_pack(program, make_inputs(trials, traced_keys(widest), self._datasets), len(trials))
        self._checkpoints = Checkpoints(store.checkpoint_directory(index))
        self._outcomes = Outcomes(self._train, len(trials))
        self._buffer = _Buffer()
        self._steps = eval_steps(self._train)
        self._num_evals = self._num_parts = 0
        self._seconds = 0.0

    def run(self) -> None:
        state = self._restore()
        started = committed = time.monotonic()
        before = self._seconds
        waiting = None
        for step in self._steps[self._num_evals :]:
            commit_due = waiting is not None and time.monotonic() - committed >= self._settings.checkpoint_seconds
            snapshot = self._compiled.to_host(state) if commit_due else None
            state, metrics = self._compiled.segment(state, self._compiled.inputs, np.int32(step))
            if waiting is not None:
                self._record(*waiting)
            if snapshot is not None:
                committed = time.monotonic()
                self._seconds = before + committed - started
                self._commit(snapshot)
            waiting = (int(step), metrics)
            if self._signals.received or not self._outcomes.alive.any():
                break
        if waiting is not None:
            self._record(*waiting)
        self._seconds = before + time.monotonic() - started
        if self._outcomes.alive.any() and self._num_evals < len(self._steps):
            self._commit(self._compiled.to_host(state))
        else:
            self._finish()
        if self._signals.received:
            raise Interrupted(self._signals.received.name)

    def _record(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Take the metrics of one eval point; waits until the devices have them."""
        host = {name: np.asarray(values)[: len(self._trial_ids)] for name, values in metrics.items()}
        recorded = self._outcomes.update(step, host)
        if recorded.any():
            self._buffer.add(self._trial_ids, step, host, recorded)
        self._num_evals += 1
        losses = host["train_loss"][self._outcomes.alive]
        extremes = (float(losses.min()), float(losses.max())) if len(losses) else None
        ended = len(self._trial_ids) if step == self._steps[-1] else int((~self._outcomes.alive).sum())
        self._progress.update(step, ended, extremes)

    def _commit(self, state: State) -> None:
        self._write_part()
        self._checkpoints.save(Checkpoint(state, self._num_evals, self._num_parts, self._seconds))

    def _write_part(self) -> None:
        if self._buffer.columns:
            self._store.write_part(self._index, self._num_parts, self._buffer.take())
            self._num_parts += 1

    def _finish(self) -> None:
        self._write_part()
        num_trials = len(self._trial_ids)
        checksums = {id(dataset): dataset.checksum for dataset in self._datasets}
        columns = {
            "trial_id": list(self._trial_ids),
            "status": list(self._outcomes.status),
            "last_step": self._outcomes.last_step,
            "seconds": np.full(num_trials, self._seconds / num_trials),
            "data_checksum": [checksums[id(dataset)] for dataset in self._datasets],
        }
        about = {
            "devices": [str(device) for device in jax.local_devices()],
            "jax": jax.__version__,
            "compile_seconds": self._compiled.seconds,
            "run_seconds": self._seconds,
            "train_steps": int(self._outcomes.last_step.max()),
            "num_parts": self._num_parts,
        }
        self._store.write_outcome(self._index, columns, about)
        if not self._settings.keep_checkpoints:
            self._checkpoints.remove()

    def _restore(self) -> State:
        """Return the state of the last commit, its rows replayed; a fresh one where there is none."""
        found = self._checkpoints.restore(self._compiled.shapes)
        try:
            rows = self._store.read_parts(self._index, found.num_parts) if found else None
        except StoreError as error:
            warnings.warn(f"{error}; pack {self._index} is trained again", DamagedPart, stacklevel=2)
            rows = None
        if found is None or rows is None:
            self._store.clear_parts(self._index)
            return self._compiled.begin()
        state, self._num_evals, self._num_parts, self._seconds = found
        index = MappingProxyType({trial_id: k for k, trial_id in enumerate(self._trial_ids)})
        names = [name for name in rows.columns if name not in ("trial_id", "step") and rows[name].dtype != object]
        self._outcomes.replay(index, rows, names)
        return self._compiled.to_devices(state)
