"""The speed of this machine, measured once and kept in the user's cache directory."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import math
import platform
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from ddlab.config.catalog import shipped
from ddlab.config.trial import Leaves, flatten, parse
from ddlab.data import Dataset, Split
from ddlab.devices.local import local_devices, use_compile_cache, working_bytes
from ddlab.files import cache_directory, write_atomically
from ddlab.models.size import size_of
from ddlab.plan.cost import Load
from ddlab.plan.machine import Machine
from ddlab.training.compiled import compile_pack
from ddlab.training.cost import training_cost
from ddlab.training.program import make_program
from ddlab.training.state import make_inputs
from ddlab.yaml_files import read_yaml

VERSION = 8
WIDTHS = (8, 64, 512)

# Hidden layers of the network that is compiled, but not run, to see how compiling grows with the program.
DEEP = 6
NUM_TRAIN, NUM_TEST, NUM_FEATURES, NUM_CLASSES, BATCH_SIZE = 1000, 100, 40, 10, 100

# Trials timed on each device, at least.
TRIALS = 16
REPEATS, LEAST_SECONDS = 3, 0.1

# What is timed, as the shipped options say: key -> file in configs.
STANDARD = {
    "model": "model/mlp",
    "optimizer": "optimizer/adam",
    "optimizer.schedule": "schedule/constant",
    "train": "train/default",
    "start": "start/default",
    "train.loss": "loss/cross_entropy",
}
NO_MEASURES: dict[str, str] = {}
MEASURES = {"measures": "measures/default"}


def this_machine() -> Machine:
    """Return the measured speed of the local devices; measures it where that was not done yet."""
    path = machine_file(jax.local_device_count())
    try:
        stored = json.loads(path.read_text())
        machine = Machine(**{**stored, "curve": tuple(map(tuple, stored["curve"]))})
        if _plausible(machine):
            return machine
    except (OSError, ValueError, KeyError, TypeError):
        pass
    print("measuring the speed of this machine, once (about 20 s) ...", file=sys.stderr)
    machine = measure()
    with contextlib.suppress(OSError):  # without a cache directory it is measured each time
        store_machine(machine)
    return machine


def _plausible(machine: Machine) -> bool:
    numbers = [machine.compile_seconds, machine.num_devices, machine.working_bytes, *itertools.chain(*machine.curve)]
    ascending = all(first < second for (first, _), (second, _) in itertools.pairwise(machine.curve))
    return len(machine.curve) > 1 and ascending and min(numbers) > 0 and min(machine.tile_seconds, machine.operation_seconds) >= 0


def store_machine(machine: Machine) -> None:
    """Keep a measured speed for the next command."""
    write_atomically(machine_file(machine.num_devices), json.dumps(asdict(machine), indent=1).encode())


def machine_file(num_devices: int) -> Path:
    """Return where the speed of so many local devices is kept; named by what it depends on."""
    device = jax.devices()[0]
    about = (VERSION, jax.__version__, platform.node(), device.platform, device.device_kind, num_devices)
    return cache_directory() / f"machine-{hashlib.sha256(repr(about).encode()).hexdigest()[:12]}.json"


class _Timed(NamedTuple):
    """One standard network timed.

    Attributes:
        num_operations: that it is written in.
        step_flops: operations of a step of one trial.
        tile: trials of a tile.
        seconds: of a device for a step of one trial, its share of the tile's cost included.
        compile_seconds: of its program.
    """

    num_operations: int
    step_flops: float
    tile: int
    seconds: float
    compile_seconds: float


def measure() -> Machine:
    """Time compilation, and training steps of one-layer networks of several widths on all devices.

    The narrowest network is timed with one trial a tile, too: what that costs more is the cost of a tile. It and a deep one, with
    the usual measures, say what compilation takes.
    """
    use_compile_cache(0)
    alone, *several = [_time(WIDTHS[0], tile=1), _time(WIDTHS[0], MEASURES), *map(_time, WIDTHS[1:])]
    narrow, deep = several[0], _time(WIDTHS[0], MEASURES, depth=DEEP)
    tile_seconds = max(0.0, (alone.seconds - narrow.seconds) / (1 - 1 / narrow.tile))
    curve = tuple((timed.step_flops, max(timed.seconds - tile_seconds / timed.tile, 1e-9)) for timed in several)
    slope = (deep.compile_seconds - narrow.compile_seconds) / (deep.num_operations - narrow.num_operations)
    operation_seconds = max(0.0, slope)
    compile_seconds = max(narrow.compile_seconds - narrow.num_operations * operation_seconds, 0.1 * narrow.compile_seconds)
    return Machine(compile_seconds, operation_seconds, tile_seconds, curve, *local_devices())


def _time(width: int, measures: dict[str, str] = NO_MEASURES, tile: int | None = None, depth: int = 1) -> _Timed:
    random = np.random.default_rng(0)
    arrays = [(random.normal(size=(num, NUM_FEATURES)), random.integers(NUM_CLASSES, size=num)) for num in (NUM_TRAIN, NUM_TEST)]
    train, test = [Split(inputs.astype(np.float32), targets.astype(np.int32)) for inputs, targets in arrays]
    dataset = Dataset({"train": train, "test": test}, NUM_CLASSES)
    leaves = _standard(STANDARD | measures, width, depth)
    config = parse(leaves)
    size = size_of(config.model, dataset.spec)
    cost = training_cost(leaves, config, size)
    if tile is None:
        tile = cost.tiling(working_bytes())[0]
    num_trials = jax.local_device_count() * tile * math.ceil(TRIALS / tile)
    trials = [{**leaves, "init_seed": seed, "batch_seed": seed} for seed in range(num_trials)]
    inputs = make_inputs(trials, [dataset] * num_trials)
    compiled = compile_pack(make_program(config, dataset.spec), inputs, num_trials, tile)
    placed = compiled.place()
    state = placed.advance(placed.begin(), 0)

    def seconds(num_steps: int) -> float:
        """Return those that so many steps take, the median of some."""
        nonlocal state
        measured = []
        for _ in range(REPEATS):
            start = time.monotonic()
            state = jax.block_until_ready(placed.advance(state, int(state.step) + num_steps))
            measured.append(time.monotonic() - start)
        return float(np.median(measured))

    calling, num_steps = seconds(0), 1
    while (stepping := seconds(num_steps) - calling) < LEAST_SECONDS:
        num_steps *= 2
    of_trial = stepping / num_steps / (num_trials / jax.local_device_count())
    return _Timed(size.num_operations, cost.step_flops(Load(1, (1, 1), size.examples), None), tile, of_trial, sum(compiled.build))


def _standard(options: dict[str, str], width: int, depth: int) -> Leaves:
    """Return a network of equal layers trained by Adam: what the shipped sweeps are made of."""
    chosen: dict[str, Any] = {}
    for key, option in options.items():
        chosen.pop(key, None)  # a word for what follows
        chosen |= flatten(read_yaml(shipped("configs") / f"{option}.yaml"), f"{key}.")
    fixed = {"model.width": width, "model.depth": depth, "train.steps": 10**9, "train.batch_size": BATCH_SIZE}
    return {**chosen, **fixed, "data": None, **dict.fromkeys(("seed", "init_seed", "batch_seed"), 0)}
