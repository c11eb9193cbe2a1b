"""From axes to trials: which trials there are, and what they are called.

A *trial* is a shape with one value for every axis along which the trials of a pack may vary. `ddlab.plan.packs` packs them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ddlab.config.declare import Mark
from ddlab.config.identity import Naming, Piece
from ddlab.config.trial import CLOCK, UNIT, Leaves, check_component, components, declarations, seeds
from ddlab.errors import ConfigError
from ddlab.plan.lineage import Lineage, check_alike, named
from ddlab.plan.shapes import Part, Settled, Shape
from ddlab.plan.trial import Parent, Trial

# Most trials of a sweep: their configs, over 1 KB each, are kept in memory.
MOST_TRIALS = 1_000_000


def num_trials(parts: Sequence[Part]) -> int:
    """Return the number of points of all parts, those that are listed twice included.

    Raises:
        ConfigError: an axis without values, or more points than a sweep may have.
    """
    counts = [{key: len(values) for key, values in part.axes.items()} for part in parts]
    for key, count in ((key, count) for axes in counts for key, count in axes.items()):
        if not count:
            raise ConfigError(f"{key}: an axis needs at least one value")
    total = sum(math.prod(axes.values()) for axes in counts)
    if total > MOST_TRIALS:
        largest = max(counts, key=lambda axes: math.prod(axes.values()))
        named = ", ".join(f"{key}: {count:,} values" for key, count in largest.items() if count > 1)
        raise ConfigError(f"the axes make {total:,} trials ({named}); a sweep has at most {MOST_TRIALS:,}")
    return total


def make_trials(parts: Sequence[Part], settle: Callable[[Leaves], Settled]) -> list[Trial]:
    """Expand the axes of every part into trials; a point that is listed twice counts once.

    Args:
        parts: the parts of the sweep.
        settle: checks the leaves of one shape, derives what must be derived (the width that gives a wanted parameter
            count), measures its size and says what it costs. Called once per shape, not per trial.

    Raises:
        ConfigError: as `num_trials`, or leaves that `settle` refuses.
    """
    num_trials(parts)
    trials: dict[str, Trial] = {}
    lineage = Lineage()
    for part in parts:
        for trial in _part_trials(part, settle, lineage):
            known = trials.setdefault(trial.id, trial)
            if (known.shape.part.stage, known.labels) != (part.stage, trial.labels):
                named = ", ".join([f"stage {known.shape.part.stage}", *(f"{key}={value}" for key, value in known.labels.items())])
                raise ConfigError(f"stages.{part.stage}: has a trial that is one of {named}, too; let them differ")
            lineage.add(trial)
    return list(trials.values())


def _part_trials(part: Part, settle: Callable[[Leaves], Settled], lineage: Lineage) -> Iterator[Trial]:
    declared = declarations(part.base)
    follow = {axis: [alias for alias, (source, _) in part.aliases.items() if source == axis] for axis in part.axes}
    enters = (Mark.TRACED, Mark.HOST)
    decides = {UNIT, CLOCK} if part.base["start.go_on"] else {UNIT}  # of what `settle` looks at
    plain = {
        key: part.at is None
        and None not in values
        and key not in part.labels
        and key not in decides
        and all(declared[name].mark in enters for name in (key, *follow[key]))
        for key, values in part.axes.items()
    }
    varying = {key: values for key, values in part.axes.items() if plain[key]}
    shaping = {key: values for key, values in part.axes.items() if not plain[key]}
    first = {key: values[0] for key, values in varying.items()}
    names = Naming(part.base)
    within = [dict(zip(varying, values, strict=True)) for values in itertools.product(*varying.values())]
    own_leaves = [part.followed(point) for point in within]
    owned = _owned(part.base, own_leaves)
    pieces = [{key: names.piece(key, value) for key, value in own.items()} for own in own_leaves]
    for values in itertools.product(*shaping.values()):
        shaped = dict(zip(shaping, values, strict=True))
        parents = [lineage.parents(part, {**shaped, **varied}) for varied in within]
        asked = part.at_point({**first, **shaped})
        leaves, size, cost, padded = settle({**asked, **named(parents[0], asked)})
        for name, own in owned:
            check_component({**leaves, **own}, name)
        shape = Shape(part, MappingProxyType(shaped), MappingProxyType(dict(leaves)), size, cost, padded)
        yield from _shape_trials(shape, within, pieces, parents)


def _owned(base: Leaves, points: Iterable[Leaves]) -> list[tuple[str, Leaves]]:
    """Return the components with the values, seeds apart, that they have at some points; each of them once."""
    names, drawn = components(base), seeds(base)
    found: dict[tuple[str, str], Leaves] = {}
    for point in points:
        for name in names:
            own = {key: value for key, value in point.items() if key.startswith(f"{name}.") and key not in drawn}
            found.setdefault((name, repr(own)), own)
    return [(name, own) for (name, _), own in found.items() if own]


def _shape_trials(
    shape: Shape, within: Sequence[Mapping[str, Any]], pieces: Sequence[Mapping[str, Piece]], parents: Sequence[Sequence[Parent]]
) -> Iterator[Trial]:
    """Yield the trials of a shape, one for each point of the axes that vary within it.

    Args:
        shape: of them.
        within: the points.
        pieces: their leaves that vary, as they are written.
        parents: which each starts from.
    """
    naming = Naming(shape.leaves, own=(*pieces[0], *named(parents[0], shape.leaves)))
    for varied, piece, family in zip(within, pieces, parents, strict=True):
        check_alike(shape, family)
        own = {**piece, **{key: naming.piece(key, value) for key, value in named(family, shape.leaves).items()}}
        weights_id, trial_id = naming.identity(own)
        groups = tuple(hash(naming.text(keys, own)) for keys in shape.cost.sharing)
        level = 1 + max((parent.trial.level for parent in family), default=-1)
        yield Trial(trial_id, weights_id, naming.config(own), shape, tuple(family), level, groups, varied)
