"""The schema of a config: what stands beside the components."""

from __future__ import annotations

import dataclasses
from typing import Any

from ddlab.config.declare import Mark, leaf, seed_leaf

FRESH_OR_KEPT = ("fresh", "kept")
DTYPES = ("bfloat16", "float32", "float64")


@dataclasses.dataclass(frozen=True)
class Train:
    """How a trial is trained and when it is evaluated."""

    steps: int = leaf("optimizer steps; 0: what a trial starts from is measured", low=0, high=2**31 - 1)
    batch_size: int | None = leaf("examples per step; null: full batch", low=1)
    loss: Any = leaf("training loss (a component)", group="loss")
    teacher: Any = leaf("another trial whose outputs are learned, too (a component); null: none", group="teacher", off=None)
    augment: Any = leaf("what is made of training inputs at each step (a component); null: nothing", group="augment", off=None)
    num_evals: int = leaf("eval points, step 0 and the last step included", low=2, records=True)
    eval_spacing: str = leaf("spacing of the eval points", choices=("log", "linear"), records=True)
    dtype: str = leaf("type of the network's arithmetic; bfloat16 keeps parameters in float32", choices=DTYPES)
    matmul_precision: str = leaf("precision of matrix products on accelerators", choices=("default", "high", "highest"))
    stop_metric: str | None = leaf("metric that may end a trial early; null: never", records=True, off=None)
    stop_below: float = leaf("the trial ends once stop_metric has held at or below this ...", Mark.HOST, records=True)
    stop_patience: int = leaf("... for this many eval points in a row", Mark.HOST, low=1, records=True)
    divergence_factor: float = leaf(
        "a trial has diverged when train_loss exceeds this many times that of an untrained model: of one that outputs zeros"
        " (log K; mean square of the targets), or its own at step 0 where that is larger",
        Mark.HOST,
        above=1,
        records=True,
    )

    @property
    def storage_dtype(self) -> str:
        """Type of parameters, optimizer state and metrics: that of the arithmetic, but float32 for bfloat16."""
        return "float32" if self.dtype == "bfloat16" else self.dtype

    @property
    def itemsize(self) -> int:
        """Bytes of one stored number."""
        return 8 if self.dtype == "float64" else 4

    @property
    def most_evals(self) -> int:
        """Eval points of a trial, at most."""
        return min(self.num_evals, self.steps + 1)


@dataclasses.dataclass(frozen=True)
class Start:
    """Where a trial begins: the values of its parameters, and which of its weights live. Shipped, all of it is off."""

    values: Any = leaf("the parameters at its start (a component); null: as they are drawn", Mark.HOST, group="values", off=None)
    mask: Any = leaf("which weights live, the others stay 0 (a component); null: all", Mark.HOST, group="mask", off=None)
    draw: int = leaf("which of the draws of init_seed its drawn parameters are", Mark.HOST, low=0, off=0)
    signs: bool = leaf(
        "drawn weights keep their signs alone: each is as large as the layer's root mean square", Mark.HOST, off=False
    )
    optimizer: str = leaf(
        "fresh, or kept: the optimizer's state where the values are from", Mark.HOST, choices=FRESH_OR_KEPT, off="fresh"
    )
    go_on: bool = leaf("its clock (batches, schedule, eval points) goes on from the step of its values", off=False)


# CPU devices that any machine may have: more than its cores are of use for trying out what runs on several.
MOST_DEVICES_A_MACHINE = 8


@dataclasses.dataclass(frozen=True)
class PackSettings:
    """How trials are packed and run; no part of a trial's identity."""

    index: int | None = leaf("the one pack that this job runs (set by the sweeper)", low=0)
    max_trials: int | None = leaf("most trials in a pack; null: as many as memory allows", low=1)
    memory_gib: float = leaf("memory that one pack may take", above=0, high=2**20)
    cpu_devices: int | None = leaf("CPU cores used as devices; null: all", low=1)
    checkpoint_seconds: float = leaf("least seconds between two commits (metrics and checkpoint) to the store", low=0)
    compile_cache_mib: float = leaf("compiled programs kept in the user's cache directory; 0: none", low=0, high=2**30)
    keep_checkpoints: bool = leaf("keep the last checkpoint of a finished pack")
    keep_weights: bool = leaf("keep the weights from which trials start also when all of these are done")
    profile: bool = leaf("write a JAX profile of a moment of the pack (set by profile=true)")

    @property
    def memory(self) -> float:
        """Bytes that one pack may take."""
        return self.memory_gib * 2**30


@dataclasses.dataclass(frozen=True)
class Science:
    """What is trained and measured: what a trial's identity is made of."""

    data: Any = leaf("data set (a component)")
    model: Any = leaf("network (a component)")
    optimizer: Any = leaf("optimizer (a component)")
    train: Train = leaf("training loop")
    start: Start = leaf("where it begins")
    measures: dict[str, Any] = leaf("named measures (components); null turns one off")
    seed: int = seed_leaf("seed of a trial; init_seed and batch_seed follow it unless set")
    init_seed: int = seed_leaf("seed of the initial weights, or of random features")
    batch_seed: int = seed_leaf("seed of the order of the examples")


# The parts of a config that are always the same class.
SECTIONS: dict[str, type] = {"train": Train, "start": Start}


@dataclasses.dataclass(frozen=True)
class Config(Science):
    """The whole configuration: the science, how it is run, and how it is reported."""

    title: str = leaf("one line: what the sweep is")
    paper: str = leaf("what it reproduces: authors, year, figure")
    shows: str = leaf("what to expect to see")
    trials: int = leaf("trials of the sweep as shipped", low=0)
    minutes: float = leaf("wall minutes on 2 CPU cores", low=0)
    axes: dict[str, Any] = leaf("sweep axes: config key -> values in Hydra's sweep grammar")
    stages: dict[str, Any] = leaf("named sets of overrides; trials of one stage may start from those of another")
    refine: dict[str, Any] = leaf("an axis that gets more values around a level once the trials of the axes are done")
    figures: dict[str, Any] = leaf("figure recipes drawn by `ddlab report`")
    claims: dict[str, Any] = leaf("claims of the paper, checked by `ddlab verify`")
    pack: PackSettings = leaf("packing and running")
    out: str = leaf("results directory")
    extend: bool = leaf("add trials to a store whose base config differs")
    profile: bool = leaf("write a JAX profile of a moment of each pack")
