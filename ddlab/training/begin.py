"""The state at which the trials of a pack begin that start from others, or with a part of their weights.

Their networks are drawn as any other; then, on the host, parameters are replaced by those of the start, and those that do not
live by 0. So no start is in a compiled program, and trials of any start share one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np

from ddlab.config.schema import Science, Start
from ddlab.config.trial import Leaves, clock_of, parse
from ddlab.data import Spec
from ddlab.errors import StoreError, inside
from ddlab.job.parents import Parents
from ddlab.models.size import parameters, parameters_at
from ddlab.parameters import Parameter, named
from ddlab.starts import Cut, Kept, Layer, Mask, Piece, Ref, Scored, Sets, Weights
from ddlab.starts.base import WEIGHT, Arrays
from ddlab.streams import generator
from ddlab.training.compiled import Compiled, Placed
from ddlab.training.state import Inputs, State, TrialState

# What a trial takes of the values that it starts from.
OF_VALUES = ("params", "constants", "moving")


def refs(config: Science) -> list[Ref]:
    """Return the trials that one takes from."""
    parts = (config.start.values, config.start.mask, config.train.teacher)
    return [ref for part in parts if part is not None for ref in part.refs()]


def check_start(config: Science, spec: Spec) -> None:
    """Raise `ConfigError` where units are to be cut that a network has not."""
    if isinstance(mask := config.start.mask, Cut) and mask.unit != WEIGHT:
        _weights_of(parameters(config.model, spec), {}).sets(mask.unit)


def is_masked(trials: Sequence[Leaves]) -> bool:
    """Whether the program of some trials must know which of their weights live."""
    return any(parse(leaves).start.mask is not None for leaves in trials)


def has_start(trials: Sequence[Leaves]) -> bool:
    """Whether any of some trials starts from another, or is masked."""
    return any((start := parse(leaves).start).values is not None or start.mask is not None for leaves in trials)


def begun(trials: Sequence[Leaves], placed: Placed, parents: Parents) -> State:
    """Return the state at which trials begin, on the devices.

    Args:
        trials: leaves of each trial.
        placed: their program.
        parents: from which they may start; where these do not live, the state means nothing.
    """
    configs = [parse(leaves) for leaves in trials]
    starts = [config.start for config in configs]
    if all(start.values is None and start.mask is None and not start.signs for start in starts):
        return placed.begin()
    host = placed.to_host(placed.advance(placed.begin(), 0))
    trial: TrialState = jax.tree.map(np.array, host.trial)
    spec = placed.compiled.program.network.spec
    networks = [parameters_at(leaves, spec) for leaves in trials]
    living = [row for row, config in enumerate(configs) if all(map(parents.lives, refs(config)))]
    for row in living:
        _take_values(trial, row, starts[row], networks[row], parents)
    masks = {row: starts[row].mask for row in living if starts[row].mask is not None}
    for name, array in named(trial.masks).items():
        for row, network in enumerate(networks):
            _only_live(array[row, ...], network[name])
    if masks:
        _take_masks(trial, masks, networks, trials, placed.compiled, parents)
    fresh = placed.compiled.program.fresh_state(trial.params, placed.compiled.inputs)
    trial = trial._replace(optimizer=jax.tree.map(np.array, fresh))
    for row in living:
        if starts[row].optimizer == "kept":
            _put(named(trial.optimizer), row, parents.kept(starts[row].values.refs()[0], True).optimizer)
    return placed.to_devices(State(np.int32(clock_of(trials[0])), trial))


# --- values -----------------------------------------------------------------------------------------------------------


def _take_values(trial: TrialState, row: int, start: Start, network: Mapping[str, Parameter], parents: Parents) -> None:
    """Replace what a trial has drawn by the values of its start."""
    if start.values is not None:
        with inside(start.values):
            values = start.values(_alike([parents.kept(ref, False) for ref in start.values.refs()]), _drawn(trial, row))
        for field in OF_VALUES:
            _put(named(getattr(trial, field)), row, getattr(values, field))
    if start.signs:
        drawn = named(trial.params)
        boxes = {name: _box(drawn[name][row, ...], parameter) for name, parameter in network.items()}
        for layer in _weights_of(network, {}).by_layer(boxes).values():
            layer[...] = np.sign(layer) * np.sqrt(np.mean(np.square(layer, dtype=float)))


def _drawn(trial: TrialState, row: int) -> Kept:
    """Return what a trial has drawn."""
    of_row = {field: {name: array[row] for name, array in named(getattr(trial, field)).items()} for field in OF_VALUES}
    return Kept(**of_row, masks={}, optimizer={})


def _alike(kept: Sequence[Kept]) -> list[Kept]:
    """Return what is kept of trials of one network, of packs that are padded in their own ways, each array cut to the least."""

    def cut(field: str) -> list[dict[str, np.ndarray]]:
        own = [getattr(each, field) for each in kept]
        least = {name: tuple(map(min, zip(*(arrays[name].shape for arrays in own), strict=True))) for name in own[0]}
        return [{name: array[(*map(slice, least[name]), ...)] for name, array in arrays.items()} for arrays in own]

    fields = {field: cut(field) for field in OF_VALUES}
    return [each._replace(**{field: fields[field][place] for field in OF_VALUES}) for place, each in enumerate(kept)]


def _put(into: Mapping[str, np.ndarray], row: int, arrays: Arrays) -> None:
    """Put arrays of a trial, padded as its pack is, in the row of another, padded as that one's is."""
    if into.keys() != arrays.keys():
        raise StoreError(f"a trial starts from another network ({', '.join(sorted(into.keys() ^ arrays.keys()))})")
    for name, array in arrays.items():
        target = into[name][row, ...]
        both = tuple(slice(min(sizes)) for sizes in zip(target.shape, array.shape, strict=True))
        target[both] = array[both]


# --- masks ------------------------------------------------------------------------------------------------------------


def _take_masks(
    trial: TrialState,
    masks: Mapping[int, Mask],
    networks: Sequence[Mapping[str, Parameter]],
    trials: Sequence[Leaves],
    compiled: Compiled,
    parents: Parents,
) -> None:
    """Mask trials: row -> mask."""
    of = {row: parents.kept(ref, False) for row, mask in masks.items() for ref in mask.refs()}
    into = named(trial.masks)
    for row, mask in masks.items():
        network, kept = networks[row], of.get(row)
        known = kept.masks if kept else {}
        live = {
            name: _box(known[name], parameter) if known else np.ones(parameter.shape, bool) for name, parameter in network.items()
        }
        score_fn = None
        if isinstance(mask, Scored):
            scorer = compiled.program.scorer(mask.score)
            score_fn = partial(_scores, scorer, _scored(trial, row, kept), _row(compiled.inputs, row), network)
        with inside(mask):
            found = mask(_weights_of(network, live), score_fn, generator(trials[row]["seed"], mask.stream))
        for name, array in found.items():
            _box(into[name][row, ...], network[name])[...] = array
    _mask(trial)


def _mask(trial: TrialState) -> None:
    """Make 0 the parameters that do not live."""
    masks = named(trial.masks)
    for name, array in named(trial.params).items():
        array[~masks[name]] = 0


def _row(tree: Any, row: int) -> Any:
    """Return the inputs of one trial."""
    return tree._replace(trial=jax.tree.map(lambda array: array[row : row + 1], tree.trial))


def _scored(trial: TrialState, row: int, kept: Kept | None) -> TrialState:
    """Return the state of the one trial whose weights are scored: as it begins, or of another."""
    scored: TrialState = jax.tree.map(lambda array: array[row : row + 1].copy(), trial)
    for field in OF_VALUES if kept else ():
        _put(named(getattr(scored, field)), 0, getattr(kept, field))
    return scored


def _scores(
    scorer: Any, scored: TrialState, inputs: Inputs, network: Mapping[str, Parameter], live: Arrays
) -> dict[str, np.ndarray]:
    """Return the terms of the scores of the parameters of a trial, of which some live."""
    masks = named(scored.masks)
    for name, array in live.items():
        _box(masks[name][0, ...], network[name])[...] = array
    _mask(scored)
    found = named(jax.device_get(scorer(State(np.int32(0), scored), inputs)))
    return {name: _box(found[name][0, ...], network[name]) for name in live}


def _box(array: np.ndarray, parameter: Parameter) -> np.ndarray:
    """Return the live entries of a padded array, a view."""
    live: tuple[Any, ...] = tuple(slice(size) for size in parameter.shape)
    return array[(*live, ...)]  # a view also of one number


def _only_live(array: np.ndarray, parameter: Parameter) -> None:
    """Make 0 what is no live entry of a padded array."""
    live = _box(array, parameter).copy()
    array[...] = 0
    _box(array, parameter)[...] = live


def _weights_of(network: Mapping[str, Parameter], live: Arrays) -> Weights:
    """Return what of a network a mask may take out."""
    layers: dict[str, Layer] = {}
    units: dict[str, dict[str, list[tuple[Piece, int | None]]]] = defaultdict(lambda: defaultdict(list))
    for name, parameter in network.items():
        for index in range(parameter.shape[0]) if parameter.is_stacked else [None]:
            piece, place = Piece(name, index), "" if index is None else f"[{index}]"
            if parameter.is_weight:
                layers[f"{name}{place}"] = Layer(piece, parameter.input_axis, "outputs" in parameter.axes)
            for axis, (along, unit) in enumerate(zip(parameter.axes, parameter.units, strict=False)):
                if unit:
                    units[unit][f"{along}{place}"].append((piece, axis - parameter.is_stacked))
    return Weights(live, layers, {unit: {axis: Sets(tuple(own)) for axis, own in of.items()} for unit, of in units.items()})
