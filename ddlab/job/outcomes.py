"""What becomes of each trial of a pack: completed, stopped early, diverged, or orphaned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ddlab.config.trial import Leaves, build, section
from ddlab.data import Dataset
from ddlab.errors import ConfigError, suggest
from ddlab.store.results import COMPLETED, DIVERGED, ORPHANED, STOPPED

# The last step of a trial that has no row.
BEFORE = -1


class Outcomes:
    """Follows the trials of a pack from eval point to eval point.

    A trial leaves with the row at which it diverged or stopped: later rows are not recorded. The state is a function of the
    recorded rows and of the data alone, so that a resumed pack rebuilds it by reading them again.

    A trial has diverged when its loss is not finite, or more than `divergence_factor` times that of an untrained model: of one
    that outputs zeros, or of its own at step 0 where that is larger (a large initial scale). Its own alone would not do: one
    that begins at another's weights begins at a tiny loss.
    """

    def __init__(self, trials: Sequence[Leaves], untrained_losses: Sequence[float], orphans: np.ndarray | None = None):
        """
        Args:
            trials: leaves of each trial, [T]; all stop by the same metric.
            untrained_losses: of each trial, [T], as `ddlab.losses.Loss.untrained`.
            orphans: [T] bool, those that were to start from one which has diverged: they never begin; None: there are none.
        """
        num_trials = len(trials)
        self._stop_metric = trials[0]["train.stop_metric"]
        self._stop_below = np.array([leaves["train.stop_below"] for leaves in trials], float)
        self._stop_patience = np.array([leaves["train.stop_patience"] for leaves in trials])
        self._divergence_factor = np.array([leaves["train.divergence_factor"] for leaves in trials], float)
        self._untrained_loss = np.array(untrained_losses, float)
        self._held = np.zeros(num_trials, int)
        self.alive = np.ones(num_trials, bool)
        self.status = np.full(num_trials, COMPLETED, dtype=object)
        self.last_step = np.full(num_trials, BEFORE, int)
        if orphans is not None:
            self._leave(orphans, ORPHANED)

    def update(self, step: int, metrics: Mapping[str, np.ndarray]) -> np.ndarray:
        """Take the metrics [T] of one eval point; return which trials [T] record a row for it."""
        recorded = self.alive.copy()
        self.last_step[recorded] = step
        loss = metrics["train_loss"]
        if step == 0:
            self._untrained_loss = np.fmax(self._untrained_loss, loss.astype(float))
        finite = np.isfinite(loss) & np.isfinite(metrics["test_loss"])
        diverged = self.alive & ~(finite & (loss <= self._divergence_factor * self._untrained_loss))
        self._leave(diverged, DIVERGED)
        if self._stop_metric is not None:
            values = number_of(metrics, "train.stop_metric", self._stop_metric)
            # In the type of the metric, so that one that just reaches the threshold holds.
            held = np.where(values <= self._stop_below.astype(values.dtype), self._held + 1, 0)
            self._held = np.where(np.isnan(values), self._held, held)  # not measured: neither counts nor begins anew
            self._leave(self.alive & (self._held >= self._stop_patience), STOPPED)
        return recorded

    def _leave(self, chosen: np.ndarray, status: str) -> None:
        self.alive &= ~chosen
        self.status[chosen] = status

    def replay(self, trial_index: Mapping[str, int], rows: Any) -> None:
        """Take stored rows (a frame with trial_id, step and metrics, in the order they were written); vectors are no outcome."""
        metric_names = [name for name in rows.columns if name not in ("trial_id", "step") and rows[name].dtype != object]
        for step, group in rows.groupby("step", sort=True):
            index = group["trial_id"].map(trial_index).to_numpy()
            metrics = {
                name: np.full(len(self.alive), np.nan, np.result_type(group[name].dtype, np.float32)) for name in metric_names
            }
            for name in metric_names:
                metrics[name][index] = group[name].to_numpy()
            self.update(int(step), metrics)


def number_of(metrics: Mapping[str, Any], key: str, name: str) -> Any:
    """Return the metric [T] that a key of the config names.

    Raises:
        ConfigError: there is none of that name, or it is a vector.
    """
    if name not in metrics or metrics[name].ndim != 1:
        numbers = [known for known, array in metrics.items() if array.ndim == 1]
        raise ConfigError(f"{key}={name}: no such metric. {suggest(name, numbers)}".rstrip())
    return metrics[name]


def untrained_losses(trials: Sequence[Leaves], datasets: Sequence[Dataset]) -> list[float]:
    """Return what a model without training loses in each trial, [T]; those of one loss and one data set share the work."""
    known: dict[tuple[str, int], float] = {}
    losses = []
    for leaves, dataset in zip(trials, datasets, strict=True):
        key = repr(section(leaves, "train.loss")), id(dataset)
        if key not in known:
            known[key] = build(leaves, "train.loss").untrained(dataset.train.targets, dataset.num_classes)
        losses.append(known[key])
    return losses
