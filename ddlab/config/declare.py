"""How a config field is declared: what it means, which values it may take, and how it may vary.

A *component* (data set, model, optimizer, measure) is a frozen dataclass whose fields are its config and whose one or two
methods do the work; a user's own is treated exactly like a shipped one. Each field is declared with `leaf`, and may hold a
component or a dictionary of them. Its default lives in the YAML that names the component.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from typing import Any

from ddlab.errors import ConfigError, suggest


class Mark(enum.Enum):
    """Where the value of a leaf acts, and so how it may vary among the trials of one pack."""

    STATIC = "decides shapes or code: trials of one pack share it"
    TRACED = "a number that enters the program as an array, one value per trial"
    SIZE = "traced like a number, but decides shapes: smaller trials are padded to the largest of the pack"
    HOST = "acts on arrays before they enter the program, or on the host's loop: trials of one pack may differ in it"
    PLACE = "where something lies, not what it is: no part of a trial's identity"


class Always(enum.Enum):
    """The one value of `ALWAYS`, which is no value of a config."""

    ALWAYS = "a leaf that does something at every value"


ALWAYS = Always.ALWAYS


@dataclasses.dataclass(frozen=True)
class Leaf:
    """Declaration of one config field: meaning, mark and allowed values.

    Attributes:
        off: the value at which the field does nothing, bit for bit as if there were no such field; `ALWAYS`: there is none.
            A config that lacks the field has it at this value.
        records: the field says what is recorded of a trial, or when it ends; the weights at a step do not depend on it.
        seed: the field is a seed: trials that differ in seeds alone are averaged.
        targets: a field of the data that changes its targets alone: trials that differ in nothing else have the same inputs.
        group: the field holds a component, and a word in its place is an option of this config group.
        named: the field holds components by name, each of which may be such a word.
        trial: the field names another trial: by its id, and in a sweep's file by its stage.
        several: it names a list of them.
    """

    doc: str
    mark: Mark = Mark.STATIC
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[Any, ...] | None = None
    off: Any = ALWAYS
    records: bool = False
    seed: bool = False
    targets: bool = False
    group: str | None = None
    named: bool = False
    trial: bool = False
    several: bool = False

    def is_off(self, value: Any) -> bool:
        """Whether the field does nothing at this value."""
        return value is None if self.off is None else self.off is not ALWAYS and value == self.off

    @property
    def allowed(self) -> str:
        """The allowed values in words, such as 'at least 1' or 'one of relu, tanh'."""
        if self.choices is not None:
            return "one of " + ", ".join(map(str, self.choices))
        bounds = {"above": self.above, "at least": self.low, "at most": self.high, "below": self.below}
        return " and ".join(f"{word} {bound:.15g}" for word, bound in bounds.items() if bound is not None)

    def check(self, key: str, value: Any) -> None:
        """Raise `ConfigError` where the value of `key` is outside the declared range; null passes."""
        if value is None:
            return
        if self.choices is not None:
            if value not in self.choices:
                raise ConfigError(
                    f"{key}={value}: must be {self.allowed}. {suggest(str(value), map(str, self.choices), 0)}".rstrip()
                )
            return
        if not isinstance(value, int | float) or isinstance(value, bool):
            return
        inside = (
            math.isfinite(value)
            and (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )
        if not inside:
            allowed = self.allowed if math.isfinite(value) else "finite"
            raise ConfigError(f"{key}={value}: must be {allowed}")


def leaf(
    doc: str,
    mark: Mark = Mark.STATIC,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: tuple[Any, ...] | None = None,
    off: Any = ALWAYS,
    records: bool = False,
    seed: bool = False,
    targets: bool = False,
    group: str | None = None,
) -> Any:
    """Declare a config field of a component; the arguments are the fields of `Leaf`.

    A knob that is added later has `off`, a value at which it does nothing: it is then left out of a trial's identity, and what is
    stored without it stays what it is.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Ridge:
        ...     penalty: float = leaf("ridge penalty lambda", Mark.TRACED, low=0, off=0.0)
    """
    declared = Leaf(doc, mark, low, high, above, below, choices, off, records, seed, targets, group)
    given = {} if off is ALWAYS else {"default": off, "kw_only": True}
    return dataclasses.field(metadata={"leaf": declared}, **given)


def trial_leaf(doc: str) -> Any:
    """Declare a field that names another trial: by its id, and in a sweep's file by its stage."""
    return dataclasses.field(metadata={"leaf": Leaf(doc, Mark.HOST, trial=True)})


def trials_leaf(doc: str) -> Any:
    """Declare a field that names other trials, a list; in a sweep's file one name may stand for a list of one."""
    return dataclasses.field(metadata={"leaf": Leaf(doc, Mark.HOST, trial=True, several=True)})


def named_leaf(doc: str, group: str | None = None) -> Any:
    """Declare a field that holds components by their names; as it is shipped there are none, and a null among them is none.

    A word in the place of one of them is an option of `group`.
    """
    return dataclasses.field(default_factory=dict, kw_only=True, metadata={"leaf": Leaf(doc, named=True, group=group)})


SEEDS_BELOW = 2**32


def seed_leaf(doc: str, below: int = SEEDS_BELOW, targets: bool = False) -> Any:
    """Declare a seed: an integer from 0, of which random numbers are drawn on the host."""
    return leaf(doc, Mark.HOST, low=0, high=below - 1, seed=True, targets=targets)


def declared(cls: type) -> dict[str, Leaf]:
    """Return the declarations of a component's fields; a field of a user's class without one is static."""
    return {field.name: field.metadata.get("leaf", Leaf("")) for field in dataclasses.fields(cls)}
