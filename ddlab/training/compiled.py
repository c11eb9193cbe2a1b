"""The program of a pack that is trained, compiled for the local devices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.stages import Lowered

from ddlab.devices.build import Build, compile_all
from ddlab.devices.layout import SPLIT, WHOLE, Layout
from ddlab.measures.evaluate import Metrics
from ddlab.training.program import Program
from ddlab.training.state import NOT_BEGUN, Inputs, State, TrialState


@dataclass(frozen=True)
class Placed:
    """The compiled program of a pack with its trials in their places.

    Attributes:
        layout: where the trials lie.
        compiled: the program.
    """

    layout: Layout
    compiled: Compiled

    @cached_property
    def _inputs(self) -> tuple[Inputs, jax.Array]:
        """The inputs, and how many tiles run on each device, on the devices."""
        return self.layout.put(self.compiled.inputs), self.layout.put_busy()

    def begin(self) -> State:
        """Return a state on the devices that has not begun."""
        trial = jax.tree.map(lambda shape: np.zeros(shape.shape, shape.dtype), self.compiled.shapes.trial)
        return self.to_devices(State(np.int32(NOT_BEGUN), trial))

    def advance(self, state: State, target: int) -> State:
        """Take trials to a step; the state is consumed, but for its step. Does not wait for the devices."""
        return State(*self.compiled.advance(*state, np.int32(target), *self._inputs))

    def evaluate(self, state: State) -> Metrics:
        """Measure the trials, name -> [slots] (or [slots, n]). Does not wait for the devices."""
        return self.compiled.evaluate(*state, *self._inputs)

    def to_devices(self, state: State) -> State:
        """Return a host state on the devices, next to the inputs; waits until both are there."""
        return jax.block_until_ready((self.layout.put(state), self._inputs))[0]

    def to_host(self, state: State) -> State:
        """Return a copy on the host, the same for any number of devices; waits for the devices."""
        return State(np.array(state.step), self.layout.take(state.trial))


@dataclass(frozen=True)
class Known:
    """A compiled program, which other trials may run.

    Attributes:
        program, advance, evaluate: as `Compiled` has them.
        trial: the shapes of the state of trials, T of some pack.
    """

    program: Program
    advance: Callable[..., tuple[jax.Array, TrialState]]
    evaluate: Callable[..., Metrics]
    trial: TrialState

    def with_trials(self, inputs: Inputs, num_trials: int, tile: int, room: int) -> Compiled:
        """Return the program of other trials; the arguments are those of `compile_pack`."""
        of_trial = jax.tree.map(lambda shape: jax.ShapeDtypeStruct((num_trials, *shape.shape[1:]), shape.dtype), self.trial)
        shapes = State(jax.ShapeDtypeStruct((), np.int32), of_trial)
        layout = Layout.of(num_trials, tile, room)
        return Compiled(self.program, layout, shapes, inputs, self.advance, self.evaluate, Build(0.0, 0.0))


@dataclass(frozen=True)
class Compiled:
    """The compiled program of a pack.

    Training and evaluation are two executables: a change of what is measured leaves the one that trains as it was.

    Attributes:
        program: what was compiled.
        layout: of all trials.
        shapes: of a state on the host, with exactly the pack's trials.
        inputs: on the host.
        advance: (step, trial state, target step, inputs, busy) -> (step, trial state); consumes the trial state.
        evaluate: (step, trial state, inputs, busy) -> metrics.
        build: what they took to make.
    """

    program: Program
    layout: Layout
    shapes: State
    inputs: Inputs
    advance: Callable[..., tuple[jax.Array, TrialState]]
    evaluate: Callable[..., Metrics]
    build: Build

    def without_inputs(self) -> Known:
        """Return the program alone."""
        return Known(self.program, self.advance, self.evaluate, self.shapes.trial)

    def place(self, alive: np.ndarray | None = None) -> Placed:
        """Return the program with all trials in their places, or the live ones only; alive: [T] bool.

        The inputs get to the devices with the first state.
        """
        return Placed(self.layout if alive is None else self.layout.with_trials(alive), self)


def compile_pack(program: Program, inputs: Inputs, num_trials: int, tile: int, room: int = 0) -> Compiled:
    """Compile a pack's program, its trial axis split over the local devices in tiles of about `tile` trials.

    Args:
        program: of its trials.
        inputs: on the host.
        num_trials, tile, room: as in `Layout.of`.
    """
    layout = Layout.of(num_trials, tile, room)
    tiles = _Tiles(program, layout.tile, len(layout.slots) // len(layout.devices))
    shapes = jax.eval_shape(program.init, inputs)
    step, trial = layout.describe(shapes)
    rest = layout.describe(inputs), layout.put_busy()
    on_devices = partial(jax.shard_map, mesh=layout.mesh, check_vma=False)
    advance = on_devices(tiles.advance, in_specs=(WHOLE, SPLIT, WHOLE, layout.split(Inputs), SPLIT), out_specs=(WHOLE, SPLIT))
    evaluate = on_devices(tiles.evaluate, in_specs=(WHOLE, SPLIT, layout.split(Inputs), SPLIT), out_specs=SPLIT)

    def lower() -> tuple[Lowered, Lowered]:
        advancing = jax.jit(advance, donate_argnums=1).lower(step, trial, np.int32(0), *rest)
        return advancing, jax.jit(evaluate).lower(step, trial, *rest)

    (advancing, evaluating), built = compile_all(lower)
    return Compiled(program, layout, shapes, inputs, advancing, evaluating, built)


@dataclass(frozen=True)
class _Tiles:
    """A program on one device, tile by tile, the busy ones only.

    Attributes:
        program: of a tile.
        size: slots of a tile.
        num_slots: of the device.
    """

    program: Program
    size: int
    num_slots: int

    def advance(
        self, step: jax.Array, trial: TrialState, target: jax.Array, inputs: Inputs, busy: jax.Array
    ) -> tuple[jax.Array, TrialState]:
        def advanced(index: jax.Array, trial: TrialState) -> TrialState:
            state = State(step, self._tile(index, trial))
            return self._put(index, trial, self.program.advance(state, self._tile_inputs(index, inputs), target).trial)

        return jnp.asarray(target, jnp.int32), jax.lax.fori_loop(0, busy[0], advanced, trial)

    def evaluate(self, step: jax.Array, trial: TrialState, inputs: Inputs, busy: jax.Array) -> Metrics:
        evaluate = jax.jit(self.program.evaluate)  # traced once for the shapes of the metrics and for the program

        def of_tile(index: Any) -> Metrics:
            return evaluate(State(step, self._tile(index, trial)), self._tile_inputs(index, inputs))

        shapes = jax.eval_shape(of_tile, 0)
        metrics = jax.tree.map(lambda shape: jnp.zeros((self.num_slots, *shape.shape[1:]), shape.dtype), shapes)
        return jax.lax.fori_loop(0, busy[0], lambda index, metrics: self._put(index, metrics, of_tile(index)), metrics)

    def _tile(self, index: Any, tree: Any) -> Any:
        return jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, index * self.size, self.size), tree)

    def _tile_inputs(self, index: Any, inputs: Inputs) -> Inputs:
        return inputs._replace(trial=self._tile(index, inputs.trial))

    def _put(self, index: Any, tree: Any, new: Any) -> Any:
        update = partial(jax.lax.dynamic_update_slice_in_dim, start_index=index * self.size, axis=0)
        return jax.tree.map(update, tree, new)
