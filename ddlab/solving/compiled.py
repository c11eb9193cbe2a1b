"""The exact solver compiled for the local devices."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding

from ddlab.devices.build import Build, compile_all
from ddlab.devices.layout import SPLIT
from ddlab.devices.local import local_devices, num_cores
from ddlab.measures.evaluate import Metrics
from ddlab.solving.problem import Problem


@dataclass(frozen=True)
class CompiledSolver:
    """The compiled program of the exact solver, which solves so many problems at once.

    Attributes:
        num_problems: solved by one call, the same number on each device.
        build: what it took to make.
    """

    num_problems: int
    build: Build
    _executable: Any
    _split: NamedSharding

    def solve(self, problems: Sequence[Problem]) -> Metrics:
        """Return the metrics of at most `num_problems` problems, name -> [num_problems, W, L, E]; waits for CPU devices only."""
        filled = [*problems, *[problems[0]] * (self.num_problems - len(problems))]
        stacked = jax.tree.map(lambda *arrays: np.stack(arrays), *filled)
        return self._executable(jax.device_put(stacked, self._split))


def compile_solver(solve: Callable[[Problem], Metrics], example: Problem, num_problems: int, at_once: int) -> CompiledSolver:
    """Compile the solver of one problem for as many as each device is handed at once.

    Args:
        solve: as `ddlab.solving.solver.make_solver` gives it.
        example: a problem; gives the shapes.
        num_problems: of the pack; no more devices are used.
        at_once: problems that each device is handed.
    """
    devices = jax.local_devices()[:num_problems]
    mesh = jax.make_mesh((len(devices),), (SPLIT[0],), axis_types=(AxisType.Auto,), devices=devices)
    split = NamedSharding(mesh, SPLIT)
    # One after the other on a CPU: a batch of decompositions can wait for itself forever.
    many = partial(jax.lax.map, solve) if local_devices().cores else jax.vmap(solve)
    on_devices = jax.shard_map(many, mesh=mesh, in_specs=SPLIT, out_specs=SPLIT, check_vma=False)
    total = at_once * len(devices)
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct((total, *np.shape(x)), np.asarray(x).dtype, sharding=split), example)
    (executable,), built = compile_all(lambda: [jax.jit(on_devices).lower(shapes)])
    return CompiledSolver(total, built, executable, split)


@contextlib.contextmanager
def one_thread_a_device() -> Iterator[None]:
    """Keep LAPACK, which decomposes for a CPU device, to that device's share of the cores."""
    import scipy.linalg  # noqa: F401  loads the library that JAX calls
    from threadpoolctl import threadpool_limits

    with threadpool_limits(max(1, num_cores() // jax.local_device_count()) if jax.default_backend() == "cpu" else None, "blas"):
        yield
