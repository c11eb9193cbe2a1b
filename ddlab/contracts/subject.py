"""A component under test, and the trials that try it: alone, and together with others."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from ddlab.config.declare import Mark
from ddlab.config.trial import Leaves, build, declarations, joined, marked, parse, seeds
from ddlab.contracts.engine import Solved, Trained
from ddlab.contracts.values import other_values
from ddlab.plan.shapes import Size
from ddlab.run.settle import settle

# Kinds of components. A feature model is linear in its parameters, so that it can be solved, too; a measure of the solver reads
# what only that knows.
DATA, MODEL, FEATURE_MODEL, OPTIMIZER = "data set", "model", "feature model", "optimizer"
CLOSED_FORM, MEASURE, SOLVER_MEASURE = "closed form", "measure", "measure of the solver"
SCHEDULE, MODIFIER, LOSS, AUGMENT, SCORE = "schedule", "modifier", "loss", "augmentation", "score"


@dataclasses.dataclass(frozen=True)
class Subject:
    """A component and the trials that try it.

    Attributes:
        name: as the user gave it.
        kind: what it is.
        key: where it stands in the config.
        leaves: of the trial around it.
        solved: of that trial solved in closed form; None where it cannot be.
    """

    name: str
    kind: str
    key: str
    leaves: Leaves
    solved: Leaves | None = None

    @cached_property
    def component(self) -> Any:
        """The component itself."""
        return build(self.leaves, self.key)

    @cached_property
    def num_values(self) -> int:
        """How many numbers its measures say that they give at an eval point."""
        return sum(measure.num_values(self.size.num_outputs) for measure in parse(self.leaves).measures.values())

    @cached_property
    def size(self) -> Size:
        """What the planner counts."""
        return settle(self.leaves).size

    @cached_property
    def trials(self) -> list[Leaves]:
        """Trials of one pack: that of the subject, one of another learning rate, and wider ones whose every number is another."""
        leaves = self.leaves
        seeded = (key for key in seeds(leaves) if not key.startswith("data."))
        keys = [*marked(leaves, Mark.TRACED, Mark.SIZE), *seeded]
        return [leaves, _others(leaves, ["optimizer.learning_rate"]), _others(leaves, keys), _others(leaves, keys, 1)]

    @cached_property
    def pack(self) -> Trained:
        """All trials in one program."""
        return Trained(self.trials)

    @cached_property
    def alone(self) -> Trained:
        """The subject's trial by itself."""
        return Trained(self.trials[:1])

    @cached_property
    def padded(self) -> dict[int, Trained]:
        """The trials of the pack that are smaller than what they are padded to, by their index, each by itself."""
        most = joined(self.trials)
        small = [index for index, trial in enumerate(self.trials) if any(trial[key] < most[key] for key in _sizes(most))]
        return {index: Trained([self.trials[index]]) if index else self.alone for index in small}

    @cached_property
    def seldom(self) -> Trained:
        """The subject's trial by itself, with measures that are due at the first and the last of three eval points."""
        return Trained(
            [{**self.leaves, **{key: 2 for key in self.leaves if key.startswith("measures.") and key.endswith(".every")}}]
        )

    @cached_property
    def pack_of_other_values(self) -> Trained:
        """Trials as wide as those of the pack, whose other numbers are different."""
        return Trained([_others(trial, _numbers(trial)) for trial in self.trials])

    @cached_property
    def problem(self) -> Solved:
        """The subject's trial solved together with wider ones, and with others of each width."""
        return Solved(self._problem)

    @cached_property
    def problem_alone(self) -> Solved:
        """The subject's trial solved by itself."""
        return Solved([self._problem[0][:1]])

    @cached_property
    def problem_of_other_values(self) -> Solved:
        """Trials as wide as those of the problem, whose other numbers are different."""
        return Solved([[_others(trial, _numbers(trial)) for trial in at_width] for at_width in self._problem])

    @cached_property
    def _problem(self) -> list[list[Leaves]]:
        """Leaves of the trials of a problem, [W][L]; those of one problem have the same draws of the model."""
        assert self.solved is not None
        (width,) = _sizes(self.solved)
        own = [key for key in _numbers(self.solved) if not key.startswith("model.")]
        widths = [self.solved[width], *other_values(declarations(self.solved)[width], self.solved[width])]
        return [[{**trial, width: value} for trial in (self.solved, _others(self.solved, own))] for value in widths]


def _sizes(leaves: Leaves) -> tuple[str, ...]:
    """Return the sizes of the model."""
    return tuple(key for key in marked(leaves, Mark.SIZE) if key.startswith("model."))


def _numbers(leaves: Leaves) -> tuple[str, ...]:
    return marked(leaves, Mark.TRACED)


def _others(leaves: Leaves, keys: Sequence[str], which: int = 0) -> Leaves:
    """Return leaves with other values of some keys, where those may have others."""
    declared = declarations(leaves)
    found = {key: other_values(declared[key], leaves[key]) for key in keys if key in leaves}
    return {**leaves, **{key: values[min(which, len(values) - 1)] for key, values in found.items() if values}}
