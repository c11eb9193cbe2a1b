"""Helpers of the tests: configs without a command line, packs without a store, the command as a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir

from ddlab.cli import main
from ddlab.compose.hydra import quoted, version_base
from ddlab.compose.schema import register
from ddlab.compose.sweep import Composer, Sweep, compose_sweep
from ddlab.compose.typed import resolved, typed
from ddlab.compose.words import compose_words
from ddlab.config import Mark, catalog
from ddlab.config.schema import PackSettings
from ddlab.config.trial import Leaves, build, joined, load_leaves, marked, parse, train_settings
from ddlab.data.loader import Loader
from ddlab.job.progress import Progress
from ddlab.measures.points import eval_steps
from ddlab.models.init import draw_words
from ddlab.plan.machine import Machine
from ddlab.plan.packs import Packing
from ddlab.plan.shapes import Settled, Size
from ddlab.plan.trial import Trial
from ddlab.plan.trials import make_trials
from ddlab.run.settle import join, settle
from ddlab.store.kept import read_kept
from ddlab.store.results import load
from ddlab.store.store import Store
from ddlab.streams import stream
from ddlab.training.compiled import Compiled, compile_pack
from ddlab.training.cost import training_cost
from ddlab.training.program import make_program
from ddlab.training.state import make_inputs

# Typical of two CPU cores. The tests plan with it, so that packs do not depend on where they run.
MACHINE = Machine(
    compile_seconds=1.1,
    operation_seconds=0.4 / 37,
    tile_seconds=3e-6,
    curve=((2.5e5, 7e-6), (2e6, 1.8e-5), (1.6e7, 1.1e-4)),
    num_devices=2,
    working_bytes=2**21,
    cores=True,
)

SETTINGS = PackSettings(
    index=None,
    max_trials=None,
    memory_gib=4.0,
    cpu_devices=None,
    checkpoint_seconds=5.0,
    compile_cache_mib=0,
    keep_checkpoints=False,
    keep_weights=False,
    profile=False,
)

PACKING = Packing(SETTINGS, MACHINE, join)

# Sweeps that together have both ways to run a pack, parts, full batches, tokens, trials that stop, predictions.
TYPICAL = ("quickstart", "modular_addition_fraction", "hastie2022_ridgeless", "bias_variance")

# Overrides of data of one input and one output, which compile fastest.
ONE_NUMBER = ("data=interval", "train.loss=mse")

# Of a one-layer MLP of width 1 on 200 examples of MNIST-1D, where a test does not care.
SIZE = Size(61, 11, 11, 50, 0, 0, 40, 200, 100, 10, 37)

# What a figure or claim must know of the sweep whose metrics a test makes up.
SEEDS = ("seed", "init_seed", "data.seed")
SWEEP = {
    "parts": [
        {
            "seeds": list(SEEDS),
            "choices": {"train.loss": "cross_entropy"},
            "columns": {"loss": {"label": "cross-entropy", "unit": "nats"}},
        }
    ]
}

# Reference results, as they are stored in the repository.
REFERENCE = catalog.shipped("sweeps").parent / "results" / "reference"

# A sweep that trains six trials, and one that solves forty-eight in closed form.
TINY = """\
defaults:
  - ddlab
  - _self_
axes:
  model.width: 3,5,8
  seed: range(2)
data: {num_train: 200, num_test: 100, label_noise: 0.2}
train: {steps: 40, batch_size: 20, num_evals: 6}
measures: {gradient_norm: null}
figures:
  curve: {recipe: double_descent, x: model.width}
"""
SOLVED = """\
defaults: [ddlab, override data: gaussian, override model: linear, override optimizer: ridge, override train: exact,
  override measures: exact, _self_]
axes: {model.width: "2,8,20,40", optimizer.weight_decay: "0.0,0.1", seed: range(6)}
data: {num_train: 8, num_features: 40}
"""

# How far trajectories of one trial may lie apart that round otherwise (packed or alone, in tiles, on any processor), relative.
# They are compared in float64 because metrics of a ReLU network jump where a preactivation crosses zero, and errors where two
# outputs tie: of some 1e6 preactivations a float32 rounding (1e-7) takes one across now and then, one of float64 (1e-16) none.
# Scaling the first weights by 1 + 1e-12 moves no metric of these runs by more than 6e-11, so that a rounding in each of 200
# steps, grown 60-fold, is 200 * 60 * 2^-53 = 1e-12; sums of tens of products round several times.
ROUNDING = 1e-11
FLOAT64 = "train.dtype=float64"

# For tests of other things: what measures the gradient is a fifth of what there is to trace and compile.
NO_GRADIENT = "measures.gradient_norm=null"

SMALL_MNIST = ("data.num_train=200", "data.num_test=100", "train.batch_size=20", "data.label_noise=0.2")
TOKENS = ("data=modular", "data.modulus=7", "train.batch_size=null", "model.width=16")
MODULAR = (
    "data=modular",
    "data.modulus=7",
    "model=quadratic_mlp",
    "model.width=16",
    "optimizer=adamw",
    "train.loss=mse",
    "train.batch_size=null",
)


def typical_first(sweeps: Iterable[str]) -> list[Any]:
    """Return sweeps as cases of a test: the typical ones, and the others as slow ones."""
    return [*TYPICAL, *(pytest.param(name, marks=pytest.mark.slow) for name in sweeps if name not in TYPICAL)]


@cache
def leaves_of(*overrides: str) -> Leaves:
    """Return the leaves of the base config with overrides."""
    register()
    with initialize_config_dir(str(catalog.shipped("configs")), **version_base()):
        return resolved(typed(compose_words(partial(compose, "ddlab"), overrides).config))


def trials_of(*overrides: str) -> list[Leaves]:
    """Return the leaves of every trial of the base config swept with overrides, nothing settled."""
    register()
    with initialize_config_dir(str(catalog.shipped("configs")), **version_base()):
        composer = Composer(
            lambda words: compose("ddlab", overrides=words, return_hydra_config=True),
            catalog.config_groups([catalog.shipped("configs")]),
        )
        parts = compose_sweep(composer, overrides).parts
    trials = make_trials(parts, settled)
    return [load_leaves(trial.config) for trial in trials]


def settled(leaves: Leaves, size: Size = SIZE) -> Settled:
    """Return leaves as a trained shape of some size, unchecked."""
    return Settled(leaves, size, training_cost(leaves, parse(leaves), size), ("model.width",))


def make_pack(trials: list[Leaves]):
    """Return (program, host inputs) of a pack."""
    datasets = Loader().load(trials)
    return make_program(parse(joined(trials)), datasets[0].spec), make_inputs(trials, datasets)


def weights_of(leaves: Leaves):
    """Return (program, host inputs, first state, initial weights by name) of a trial alone."""
    program, inputs = make_pack([leaves])
    begun = jax.device_get(jax.jit(program.init)(inputs))
    return program, inputs, begun, {name: np.asarray(array[0], float) for name, array in named_leaves(begun.trial.params).items()}


def run_trials(trials: list[Leaves], tile: int = 100):
    """Train a pack through its compiled program; return (steps, metrics name -> [evals, T], first state, last state)."""
    program, inputs = make_pack(trials)
    return run_compiled(compile_pack(program, inputs, len(trials), tile), trials[0])


def run_alone(trials: list[Leaves]):
    """Train each trial alone; return what `run_trials` gives of each. Those that differ in numbers only have one program."""
    compiled: dict[str, Compiled] = {}
    runs = []
    for trial in trials:
        numbers = marked(trial, Mark.TRACED, Mark.HOST)
        rest = repr({key: value for key, value in trial.items() if key not in numbers})
        program, inputs = make_pack([trial])
        if rest not in compiled:
            compiled[rest] = compile_pack(program, inputs, 1, 1)
        runs.append(run_compiled(replace(compiled[rest], inputs=inputs), trial))
    return runs


def run_compiled(compiled: Compiled, trial: Leaves):
    """Train the trials of a compiled program, of which one is given; return what `run_trials` does."""
    placed = compiled.place()
    state, first, history = placed.begin(), None, []
    steps = eval_steps(train_settings(trial))
    for step in steps:
        state = placed.advance(state, int(step))
        history.append(placed.layout.take(placed.evaluate(state)))
        if first is None:
            first = placed.to_host(state)
    stacked = {name: np.stack([metrics[name] for metrics in history]) for name in history[0]}
    return steps, stacked, first, placed.to_host(state)


def packed_equals_alone(trials: list[Leaves], rtol: float):
    """Train a pack, and each of its trials alone; return what `run_trials` gives of the pack, whose metrics are those."""
    packed = run_trials(trials)
    for index, alone in enumerate(run_alone(trials)):
        assert alone[1].keys() == packed[1].keys()
        for name, metric in alone[1].items():
            np.testing.assert_allclose(packed[1][name][:, index], metric[:, 0], rtol=rtol, err_msg=f"{index} {name}")
    return packed


@partial(jax.jit, static_argnums=(1, 2))
def _words(key, name: str, shape: tuple[int, ...]):
    return draw_words(key, {name: shape})[name]


def words_of(seed: int):
    """Return what gives the random words of each parameter of a trial of that seed, as `Init` takes it."""
    return partial(_words, stream(seed, "init"))


def dataset_of(leaves: Leaves):
    """Return the data set of a config."""
    return build(leaves, "data").load()


def named_leaves(tree) -> dict[str, np.ndarray]:
    """Return the arrays of a pytree by their path."""
    named = {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in jax.tree.leaves_with_path(tree)}
    return {name.removesuffix(".value"): leaf for name, leaf in named.items()}


def command(*words: str, cwd: Path, check: bool = True, **options) -> subprocess.CompletedProcess:
    """Run the command as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "ddlab.cli", *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        env=os.environ,
        check=False,
        **options,
    )
    if check:
        assert done.returncode == 0, done.stderr
    return done


def write_sweep(directory: Path, name: str, text: str) -> None:
    """Write a sweep that commands in a directory know by its name."""
    (directory / "sweeps").mkdir(exist_ok=True)
    (directory / "sweeps" / f"{name}.yaml").write_text(text)


def kept_of(root: str | Path, stage: str, step: int | None = None) -> dict[str, np.ndarray]:
    """Return what is kept of the only trial of a stage at a step, or at its last, name -> array."""
    store = Store(root)
    trials = load(root).trials.merge(store.read_plan(columns=["trial_id", "pack"]), on="trial_id")
    trial = trials[trials["stage"] == stage].iloc[0]
    found = read_kept(store, trial["pack"], int(trial["last_step"]) if step is None else step, ["params."])
    assert found is not None
    names, arrays = found
    return {name: array[names.index(trial["trial_id"])] for name, array in arrays.items()}


def curves(directory: str | Path = "results/tiny") -> pd.DataFrame:
    """Return the stored curves in an order that depends on no pack."""
    return load(directory).curves.sort_values(["trial_id", "step"], ignore_index=True)


def refusal(capfd, words: list[str]) -> str:
    """Return the one line with which `ddlab sweep` refuses; nothing may be stored."""
    assert main(["sweep", *words]) == 2
    printed = capfd.readouterr().err
    assert printed.startswith("ddlab: ")
    assert printed.count("\n") == 1, printed
    assert not Path("results").exists()
    return printed


def interrupt_after(monkeypatch, number: int, sent: int = signal.SIGINT) -> list[int]:
    """Send this process a signal when progress was told so many times; return the steps, or trials solved, it was told of."""
    told: list[int] = []
    update = Progress.update

    def updated(progress, step, trials_done, losses):
        update(progress, step, trials_done, losses)
        told.append(step)
        if len(told) == number:
            os.kill(os.getpid(), sent)

    monkeypatch.setattr(Progress, "update", updated)
    return told


def flipped(content: bytes, bit: int) -> bytes:
    """Return bytes one bit of which is another."""
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def staged(stages: str, axes: str) -> list[Trial]:
    """Return the trials of a sweep of stages by the text of both, in a working directory of its own."""
    write_sweep(Path.cwd(), "staged", f"defaults: [ddlab, override data: digits, _self_]\n{axes}stages:\n{stages}")
    return make_trials(_sweep_of(Path.cwd() / "sweeps" / "staged.yaml", []).parts, settle)


def shipped_sweep(name: str, overrides: Sequence[str]) -> Sweep:
    """Return a shipped sweep, composed."""
    return _sweep_of(catalog.shipped("sweeps") / f"{name}.yaml", overrides)


def _sweep_of(path: Path, overrides: Sequence[str]) -> Sweep:
    register()
    directory = quoted(f"file://{catalog.shipped('configs')}")
    with initialize_config_dir(str(path.parent), **version_base()):
        composed = partial(compose, path.stem, return_hydra_config=True)
        groups = catalog.config_groups([catalog.shipped("configs"), catalog.shipped("sweeps")])
        composer = Composer(lambda words: composed(overrides=[f"hydra.searchpath=[{directory}]", *words]), groups)
        return compose_sweep(composer, overrides)
