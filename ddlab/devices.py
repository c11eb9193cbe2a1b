"""Local devices: the trial axis of a pack sharded over all of them, CPU cores included."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
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
    """The compiled program of a pack, with its inputs on the devices."""

    segment: Any
    inputs: Inputs
    shapes: State
    placement: State
    seconds: float

    def begin(self) -> State:
        """Return a state that has not begun."""
        zeros = jax.tree.map(lambda shape: np.zeros(shape.shape, shape.dtype), self.shapes)
        return jax.device_put(zeros._replace(step=np.int32(NOT_BEGUN)), self.placement)


def compile_pack(program: Program, inputs: Inputs, num_trials: int) -> Compiled:
    """Compile a pack's one program, its trial axis sharded over the devices.

    Where the number of trials is no multiple of the number of devices, the last trial is repeated.
    """
    devices = jax.local_devices()[:num_trials]
    mesh = jax.make_mesh((len(devices),), ("trials",), axis_types=(AxisType.Auto,), devices=devices)
    split, whole = NamedSharding(mesh, PartitionSpec("trials")), NamedSharding(mesh, PartitionSpec())
    padding = -num_trials % len(devices)

    def fill(array: np.ndarray) -> np.ndarray:
        return np.concatenate([array, np.repeat(array[-1:], padding, axis=0)]) if padding else array

    filled = Inputs(
        jax.tree.map(fill, inputs.hypers),
        inputs.seeds,
        fill(inputs.seed_index),
        inputs.shared,
        jax.tree.map(fill, inputs.own),
    )
    on_devices = jax.device_put(filled, Inputs(split, whole, split, whole, split))  # type: ignore[arg-type]
    shapes = jax.eval_shape(program.init, on_devices)
    placement = State(whole, whole, *(jax.tree.map(lambda _: split, shape) for shape in shapes[2:]))  # type: ignore[arg-type]
    compiled = Compiled(None, on_devices, shapes, placement, 0.0)
    jitted = jax.jit(program.segment, donate_argnums=0, out_shardings=(placement, whole))
    start = time.monotonic()
    segment = jitted.lower(compiled.begin(), on_devices, np.int32(0)).compile()
    return Compiled(segment, on_devices, shapes, placement, time.monotonic() - start)
