"""The local devices, CPU cores included, and the program of a pack compiled for them."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.compilation_cache.compilation_cache import reset_cache
from jax.sharding import AxisType, NamedSharding

from ddlab.config.schema import Train
from ddlab.devices.layout import SPLIT, WHOLE, Layout
from ddlab.files import cache_directory, first_line
from ddlab.measures.evaluate import Metrics
from ddlab.solving.cost import Devices
from ddlab.solving.problem import Problem
from ddlab.training.program import NOT_BEGUN, Inputs, Program, State

CACHE_SIZE_FILE = Path("/sys/devices/system/cpu/cpu0/cache/index2/size")  # Linux; such as "1024K"
DEFAULT_CACHE_BYTES = 2**20
CACHES_OF_WORK = 2

ACCELERATOR_BYTES = 2**29

# Room on the disk of the cache directory below which compiled programs are not kept.
LEAST_FREE_BYTES = 2**26

# LLVM's first level compiles a fifth faster than its second, and what it makes is no slower here (make bench).
COMPILER_OPTIONS: dict[str, Any] = {"cpu": {"xla_backend_optimization_level": 1}}


class Divisible(Protocol):
    """How much of a pack a device is given at once."""

    def smaller(self) -> tuple[Any, str] | None:
        """Return half of it and what is said of that; None where nothing is left to halve."""


class DoesNotFit(Exception):
    """A device has too little memory.

    Attributes:
        portion: how much of the pack it was given at once.
    """

    def __init__(self, portion: Divisible, error: Exception):
        super().__init__(first_line(error))
        self.portion = portion


@contextlib.contextmanager
def fitting(portion: Divisible) -> Iterator[None]:
    """Raise `DoesNotFit` where a device runs out of memory with so much of a pack at once."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise DoesNotFit(portion, error) from error


@contextlib.contextmanager
def precision(train: Train) -> Iterator[None]:
    """The context in which a pack is traced and run; JAX keeps it for each thread."""
    with jax.enable_x64(train.dtype == "float64"), jax.default_matmul_precision(train.matmul_precision):
        yield


def num_cores() -> int:
    """Return how many CPU cores this process may use; of those of the machine where the system sets no such limit (macOS)."""
    if hasattr(os, "process_cpu_count"):  # Python 3.13
        return os.process_cpu_count() or 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_cpu_cores(num_devices: int | None) -> None:
    """Make CPU cores JAX devices, so that the trial axis is sharded over them; no effect once JAX has started."""
    with contextlib.suppress(RuntimeError):
        jax.config.update("jax_num_cpu_devices", num_devices or num_cores())


def use_compile_cache(mib: float) -> None:
    """Keep compiled programs in the user's cache directory, the least recently used ones up to `mib` MiB; 0: keep none.

    Where that cannot be written, or its disk is nearly full, none are kept: JAX would leave half-written ones, and not replace
    them. Where `$JAX_COMPILATION_CACHE_DIR` is set, they are kept there, as large as JAX's own settings say.
    """
    warnings.filterwarnings("once", "Error (reading|writing) persistent compilation cache entry")
    wanted: dict[str, Any] = {"jax_enable_compilation_cache": mib > 0}
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        directory = cache_directory() / "compiled"
        if mib > 0:
            with contextlib.suppress(OSError):
                directory.mkdir(parents=True, exist_ok=True)
        wanted |= {
            "jax_compilation_cache_dir": str(directory) if _has_room(directory) else None,
            "jax_compilation_cache_max_size": int(mib * 2**20),
            "jax_persistent_cache_min_compile_time_secs": 0.0,
            "jax_persistent_cache_min_entry_size_bytes": 0,
        }
    if any(getattr(jax.config, name) != value for name, value in wanted.items()):
        for name, value in wanted.items():
            jax.config.update(name, value)
        reset_cache()  # JAX looks at these settings once


def _has_room(directory: Path) -> bool:
    return os.access(directory, os.W_OK) and shutil.disk_usage(directory).free > LEAST_FREE_BYTES


def working_bytes() -> int:
    """Return how large the arrays of a step may be for a device to work on them best.

    On a CPU core that is two second-level caches: with more, the cores wait for each other's memory. On an accelerator it is
    what keeps it busy.
    """
    if jax.default_backend() != "cpu":
        return ACCELERATOR_BYTES
    cache = DEFAULT_CACHE_BYTES
    with contextlib.suppress(OSError, ValueError):
        cache = 1024 * int(CACHE_SIZE_FILE.read_text().strip().removesuffix("K"))
    return CACHES_OF_WORK * cache


@dataclass(frozen=True)
class Compiled:
    """The compiled program of a pack, with its inputs on the devices.

    Attributes:
        layout: where the trials lie.
        shapes: of a state on the host, with exactly the pack's trials.
        trace_seconds: spent on making the program in JAX.
        compile_seconds: spent on compiling it with XLA, or on taking it from the cache.
    """

    layout: Layout
    shapes: State
    trace_seconds: float
    compile_seconds: float
    _executable: Any
    _inputs: Inputs

    @cached_property
    def _arguments(self) -> tuple[Inputs, jax.Array]:
        """The inputs, and how many tiles run on each device, on the devices."""
        return self.layout.put(self._inputs), self.layout.put_busy()

    def begin(self) -> State:
        """Return a state on the devices that has not begun."""
        zeros = jax.tree.map(lambda shape: np.zeros(shape.shape, shape.dtype), self.shapes)
        return self.to_devices(zeros._replace(step=np.int32(NOT_BEGUN)))

    def segment(self, state: State, target: int) -> tuple[State, Metrics]:
        """Advance to a step and evaluate there; the state is consumed. Does not wait for the devices."""
        return self._executable(state, np.int32(target), *self._arguments)

    def to_devices(self, state: State) -> State:
        """Return a host state on the devices, next to the inputs; waits until both are there."""
        return jax.block_until_ready((self.layout.put(state), self._arguments))[0]

    def to_host(self, state: State) -> State:
        """Return a copy on the host, the same for any number of devices; waits for the devices."""
        step, *own = state
        return State(np.array(step), *self.layout.take(own))  # type: ignore[arg-type]

    def without_ended(self, alive: np.ndarray) -> Compiled:
        """Return the same program for the live trials only; alive: [T] bool. This one lets go of its inputs."""
        self.__dict__.pop("_arguments", None)
        return replace(self, layout=self.layout.with_trials(alive))


def compile_pack(program: Program, inputs: Inputs, num_trials: int, tile: int) -> Compiled:
    """Compile a pack's one program, its trial axis split over the local devices in tiles of about `tile` trials."""
    start = time.monotonic()
    layout = Layout.of(num_trials, tile)
    shapes = jax.eval_shape(program.init, inputs)
    jitted = jax.jit(_over_tiles(program, layout), donate_argnums=0)
    lowered = jitted.lower(layout.describe(shapes), np.int32(0), layout.describe(inputs), layout.put_busy())
    traced = time.monotonic()
    executable = lowered.compile(COMPILER_OPTIONS.get(jax.default_backend()))
    return Compiled(layout, shapes, traced - start, time.monotonic() - traced, executable, inputs)


def _over_tiles(program: Program, layout: Layout) -> Callable[..., tuple[State, Metrics]]:
    """Return `program.segment` for the whole pack: on each device tile by tile, the busy ones only."""

    def on_device(state: State, target: jax.Array, inputs: Inputs, busy: jax.Array) -> tuple[State, Metrics]:
        step, *own = state
        shared, *inputs_own = inputs

        def of_tile(index: Any, *trees: Any) -> Any:
            return jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, index * layout.tile, layout.tile), trees)

        def put(index: Any, trees: Any, new: Any) -> Any:
            update = partial(jax.lax.dynamic_update_slice_in_dim, start_index=index * layout.tile, axis=0)
            return jax.tree.map(update, trees, new)

        def arguments(index: Any, own: Any) -> tuple[State, Inputs]:
            return State(step, *of_tile(index, *own)), Inputs(shared, *of_tile(index, *inputs_own))

        def body(index: jax.Array, carry: tuple[Any, Metrics]) -> tuple[Any, Metrics]:
            own, metrics = carry
            (_, *own_of_tile), metrics_of_tile = program.segment(*arguments(index, own), target)
            return put(index, own, own_of_tile), put(index, metrics, metrics_of_tile)

        shapes = jax.eval_shape(lambda: program.evaluate(*arguments(0, own)))
        slots = layout.tile * layout.num_tiles
        metrics = jax.tree.map(lambda shape: jnp.zeros((slots, *shape.shape[1:]), shape.dtype), shapes)
        own, metrics = jax.lax.fori_loop(0, busy[0], body, (own, metrics))
        return State(jnp.asarray(target, jnp.int32), *own), metrics

    of_state, of_inputs = State(WHOLE, SPLIT, SPLIT, SPLIT), Inputs(WHOLE, SPLIT, SPLIT, SPLIT)  # type: ignore[arg-type]
    return jax.shard_map(
        on_device,
        mesh=layout.mesh,
        in_specs=(of_state, WHOLE, of_inputs, SPLIT),
        out_specs=(of_state, SPLIT),
        check_vma=False,
    )


@dataclass(frozen=True)
class CompiledSolver:
    """The compiled program of the exact solver, which solves so many problems at once.

    Attributes:
        num_problems: solved by one call, the same number on each device.
        trace_seconds: spent on making the program in JAX.
        compile_seconds: spent on compiling it with XLA, or on taking it from the cache.
    """

    num_problems: int
    trace_seconds: float
    compile_seconds: float
    _executable: Any
    _split: NamedSharding

    def solve(self, problems: Sequence[Problem]) -> Metrics:
        """Return the metrics of at most `num_problems` problems, name -> [num_problems, W, L, E]; waits for CPU devices only."""
        filled = [*problems, *[problems[0]] * (self.num_problems - len(problems))]
        stacked = jax.tree.map(lambda *arrays: np.stack(arrays), *filled)
        return self._executable(jax.device_put(stacked, self._split))


def local_devices() -> Devices:
    """Return what the exact solver must know of the local devices."""
    return Devices(jax.local_device_count(), working_bytes(), jax.default_backend() == "cpu")


def compile_solver(solve: Callable[[Problem], Metrics], example: Problem, num_problems: int, at_once: int) -> CompiledSolver:
    """Compile the solver of one problem for as many as each device is handed at once.

    Args:
        solve: as `ddlab.solving.solver.make_solver` gives it.
        example: a problem; gives the shapes.
        num_problems: of the pack; no more devices are used.
        at_once: problems that each device is handed.
    """
    start = time.monotonic()
    devices = jax.local_devices()[:num_problems]
    mesh = jax.make_mesh((len(devices),), (SPLIT[0],), axis_types=(AxisType.Auto,), devices=devices)
    split = NamedSharding(mesh, SPLIT)
    # One after the other on a CPU: a batch of decompositions can wait for itself forever.
    many = partial(jax.lax.map, solve) if local_devices().cores else jax.vmap(solve)
    on_devices = jax.shard_map(many, mesh=mesh, in_specs=SPLIT, out_specs=SPLIT, check_vma=False)
    total = at_once * len(devices)
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct((total, *np.shape(x)), np.asarray(x).dtype, sharding=split), example)
    lowered = jax.jit(on_devices).lower(shapes)
    traced = time.monotonic()
    executable = lowered.compile(COMPILER_OPTIONS.get(jax.default_backend()))
    return CompiledSolver(total, traced - start, time.monotonic() - traced, executable, split)


@contextlib.contextmanager
def one_thread_a_device() -> Iterator[None]:
    """Keep LAPACK, which decomposes for a CPU device, to that device's share of the cores."""
    import scipy.linalg  # noqa: F401  loads the library that JAX calls
    from threadpoolctl import threadpool_limits

    with threadpool_limits(max(1, num_cores() // jax.local_device_count()) if jax.default_backend() == "cpu" else None, "blas"):
        yield
