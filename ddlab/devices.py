"""Local devices: the trial axis of a pack sharded over all of them, CPU cores included."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from ddlab.train import NOT_BEGUN, Inputs, Program, State


def use_cpu_cores(num_devices: int | None) -> None:
    """Make CPU cores JAX devices, so that the trial axis is sharded over them; no effect once JAX has started."""
    with contextlib.suppress(RuntimeError):
        jax.config.update("jax_num_cpu_devices", num_devices or len(os.sched_getaffinity(0)))


@dataclass(frozen=True)
class Compiled:
    """The compiled program of a pack, with its inputs on the devices.

    Attributes:
        segment: as `Program.segment`, with the state donated.
        inputs: on the devices, the trial axis filled up to a multiple of their number.
        shapes: of a state on the host, with exactly the pack's trials.
        seconds: spent compiling.
    """

    segment: Any
    inputs: Inputs
    shapes: State
    seconds: float
    _layout: _Layout

    def begin(self) -> State:
        """Return a state on the devices that has not begun."""
        zeros = jax.tree.map(lambda shape: np.zeros(shape.shape, shape.dtype), self.shapes)
        return self.to_devices(zeros._replace(step=np.int32(NOT_BEGUN)))

    def to_devices(self, state: State) -> State:
        """Return a host state on the devices."""
        return self._layout.place(state)

    def to_host(self, state: State) -> State:
        """Return a copy on the host, the same for any number of devices; waits for the devices."""
        host = State(*(jax.tree.map(np.array, part) for part in state))
        shared, own = host[:2], host[2:]
        return State(*shared, *(jax.tree.map(lambda array: array[: self._layout.num_trials], part) for part in own))


class _Layout:
    """The trial axis split over the devices; where it does not divide, the last trial is repeated."""

    def __init__(self, num_trials: int):
        self.num_trials = num_trials
        devices = jax.local_devices()[:num_trials]
        self._padding = -num_trials % len(devices)
        mesh = jax.make_mesh((len(devices),), ("trials",), axis_types=(AxisType.Auto,), devices=devices)
        self.split, self.whole = NamedSharding(mesh, PartitionSpec("trials")), NamedSharding(mesh, PartitionSpec())

    def _split(self, tree: Any) -> Any:
        def put(array: np.ndarray) -> jax.Array:
            return jax.device_put(np.concatenate([array, np.repeat(array[-1:], self._padding, axis=0)]), self.split)

        return jax.tree.map(put, tree)

    def place(self, state: State) -> State:
        step, order, *own = state
        return State(*jax.device_put((step, order), self.whole), *map(self._split, own))

    def place_inputs(self, inputs: Inputs) -> Inputs:
        seeds, shared = jax.device_put((inputs.seeds, inputs.shared), self.whole)
        return Inputs(self._split(inputs.hypers), seeds, self._split(inputs.seed_index), shared, self._split(inputs.own))

    def of(self, state: State) -> State:
        return State(self.whole, self.whole, *(jax.tree.map(lambda _: self.split, part) for part in state[2:]))  # type: ignore[arg-type]


def compile_pack(program: Program, inputs: Inputs, num_trials: int) -> Compiled:
    """Compile a pack's one program, its trial axis sharded over the local devices."""
    layout = _Layout(num_trials)
    shapes = jax.eval_shape(program.init, inputs)
    on_devices = layout.place_inputs(inputs)
    compiled = Compiled(None, on_devices, shapes, 0.0, layout)
    jitted = jax.jit(program.segment, donate_argnums=0, out_shardings=(layout.of(shapes), layout.whole))
    start = time.monotonic()
    segment = jitted.lower(compiled.begin(), on_devices, np.int32(0)).compile()
    return replace(compiled, segment=segment, seconds=time.monotonic() - start)
