"""Which trials a trial starts from: those of the stages that its start names which agree with it on every axis that both have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from ddlab.config.components import TARGET
from ddlab.config.trial import Leaves, named_trials
from ddlab.errors import ConfigError
from ddlab.plan.shapes import PREVIOUS, ROUND, Part, Shape
from ddlab.plan.trial import Parent, Trial

Point = Mapping[str, Any]


def _step_key(key: str) -> str:
    """Return the leaf that says at which step the trial that a leaf names is meant."""
    return f"{key.rpartition('.')[0]}.step"


def _steps(leaves: Leaves, key: str) -> dict[int | None, str]:
    """Return the steps at which the trials that a leaf names are meant, None: their last; and the leaf that says so of each."""
    step = _step_key(key)
    several = f"{step}s"
    return dict.fromkeys(leaves.get(several) or (), several) or {leaves.get(step): step}


def _is_settled(leaves: Leaves, key: str) -> bool:
    """Whether the leaf of the step of the one trial that a leaf names says at which it is meant, once that is known."""
    step = _step_key(key)
    return step in leaves and sum(_step_key(other) == step for other in named_trials(leaves)) == 1


class Lineage:
    """The trials of a sweep that were made so far, as those from which others start."""

    def __init__(self) -> None:
        self._stages: dict[str, dict[str, Trial]] = defaultdict(dict)
        self._known: dict[tuple[str, frozenset[str]], dict[tuple[Any, ...], list[Trial]]] = {}

    def add(self, trial: Trial) -> None:
        """Take a trial that others may start from."""
        stage = trial.shape.part.stage
        self._stages[stage][repr((trial.id, trial.point))] = trial  # a value that is listed twice is one
        self._known = {key: found for key, found in self._known.items() if key[0] != stage}

    def parents(self, part: Part, point: Point) -> list[Parent]:
        """Return the trials that one at a point of the axes of a part starts from.

        Raises:
            ConfigError: none of a stage agrees with it, or several do, or they end before the step that is wanted.
        """
        leaves, point = part.at_point(point), {**part.chosen, **point}
        return [
            parent
            for key, stages in named_trials(leaves).items()
            for stage in stages
            for parent in self._parents(part, point, key, stage, leaves)
        ]

    def _parents(self, part: Part, point: Point, key: str, stage: str, leaves: Leaves) -> Iterator[Parent]:
        """Yield the trial of a stage that a leaf names, at each step at which it is meant."""
        place = f"stages.{part.stage}.{key}={stage}"
        if not part.stage:
            raise ConfigError(f"{key}={stage}: names a stage, and the sweep has none")
        if stage == PREVIOUS:
            point = {**point, ROUND: point[ROUND] - 1}
            if not point[ROUND]:
                stage = part.first
                del point[ROUND]
            else:
                stage = part.stage
        trial = self._trial(place, stage, point)
        last = trial.shape.leaves["train.steps"]
        may_stop, is_settled = trial.shape.leaves["train.stop_metric"] is not None, _is_settled(leaves, key)
        optimizer = leaves["start.optimizer"] == "kept" and key.startswith("start.values.")
        for wanted, said in _steps(leaves, key).items():
            if wanted is not None and not trial.shape.clock <= wanted <= last:
                allowed = f"from {trial.shape.clock} to {last}, the steps of stage {stage}"
                raise ConfigError(f"stages.{part.stage}.{said}={wanted}: must be {allowed}")
            step = wanted if wanted is not None or may_stop else last
            is_said = not may_stop and (wanted is not None or is_settled)
            yield Parent(key, trial, trial.weights_id if is_said else trial.id, step, optimizer)

    def _trial(self, place: str, stage: str, point: Point) -> Trial:
        trials = self._stages[stage]
        if not trials:
            raise ConfigError(f"{place}: there are no trials of that stage")
        keys = point.keys() & _point(next(iter(trials.values()))).keys()
        found = self._by_values(stage, frozenset(keys)).get(tuple(point[key] for key in sorted(keys)), [])
        if len(found) == 1:
            return found[0]
        at = ", ".join(f"{key}={point[key]}" for key in sorted(keys))
        if not found:
            raise ConfigError(f"{place}: stage {stage} has no trial with {at}")
        free = [key for key in _point(found[0]) if len({repr(_point(trial).get(key)) for trial in found}) > 1]
        raise ConfigError(
            f"{place}: {len(found)} trials of stage {stage} fit, which differ in {', '.join(free)}; pin or sweep that, too"
        )

    def _by_values(self, stage: str, keys: frozenset[str]) -> dict[tuple[Any, ...], list[Trial]]:
        """Return the trials of a stage by their values of some axes."""
        known = self._known.get((stage, keys))
        if known is None:
            known = self._known[stage, keys] = defaultdict(list)
            for trial in self._stages[stage].values():
                known[tuple(_point(trial)[key] for key in sorted(keys))].append(trial)
        return known


def _point(trial: Trial) -> dict[str, Any]:
    return {**trial.shape.part.chosen, **trial.point}


def named(parents: Sequence[Parent], leaves: Leaves) -> dict[str, Any]:
    """Return the leaves that name parents, and say at which step they are meant."""
    found: dict[str, Any] = {}
    for key, own in groupby(parents, lambda parent: parent.key):
        names = [parent.name for parent in own][:: len(_steps(leaves, key))]
        found[key] = tuple(names) if isinstance(leaves[key], tuple) else names[0]
    return found | {_step_key(parent.key): parent.step for parent in parents if _is_settled(leaves, parent.key)}


def check_alike(shape: Shape, parents: Sequence[Parent]) -> None:
    """Raise `ConfigError` where what a trial starts from has another network, or another optimizer whose state it keeps.

    A teacher may have another network, of as many inputs and outputs.
    """
    for parent in parents:
        own, theirs = shape.leaves, parent.trial.shape.leaves
        if not parent.key.startswith("start."):
            _check_same_ends(shape, parent)
            continue
        if parent.optimizer and _rules(own) != _rules(theirs):
            where = f"stages.{shape.part.stage}.start.optimizer=kept"
            raise ConfigError(f"{where}: must be fresh, as stage {parent.trial.shape.part.stage} has another optimizer")
        keys = [key for key in {**own, **theirs} if key.startswith("model.") and own.get(key) != theirs.get(key)]
        differing = [key for key in keys if key in shape.padded or key.endswith("_target_")]
        if differing or shape.size.num_params != parent.trial.shape.size.num_params:
            key = (differing or keys or ["data"])[0]
            words = f"{own.get(key)}, and {theirs.get(key)} in stage {parent.trial.shape.part.stage}"
            raise ConfigError(f"stages.{shape.part.stage}.{parent.key}: starts from another network ({key}: {words})")


def _check_same_ends(shape: Shape, parent: Parent) -> None:
    own, theirs = ((size.num_inputs, size.num_outputs) for size in (shape.size, parent.trial.shape.size))
    if own != theirs:
        words = f"{own[0]} inputs and {own[1]} outputs, and {theirs[0]} and {theirs[1]} in stage {parent.trial.shape.part.stage}"
        raise ConfigError(f"stages.{shape.part.stage}.{parent.key}: is of other data ({words})")


def _rules(leaves: Leaves) -> dict[str, Any]:
    """Return what the state of an optimizer is of: its class, and those of its modifiers."""
    return {key: value for key, value in leaves.items() if key.startswith("optimizer.") and key.endswith(TARGET)}
