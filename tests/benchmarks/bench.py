"""Runs the benchmarks, prints a table and writes results/bench.json.

    make bench                     all of them (about an hour on 2 cores)
    make bench BENCH="1 3"         some of them

Whole processes are timed from outside; ddlab and its peers take turns, and medians of three rounds are compared. Peers: T
(torch_loop.py), V (torch_vmap.py), J (jax_loop.py), X (torch_transformer.py), which make the same steps and evaluate at the same
points; and for the exact solver sklearn_ridge.py.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from ddlab.config import catalog
from ddlab.config.trial import Leaves, train_settings
from ddlab.devices.local import num_cores
from ddlab.measures.points import eval_steps
from ddlab.store.store import Store
from tests.benchmarks import problem
from tests.support import dataset_of, leaves_of

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
ROUNDS = 3
SCRIPTS = {"T": "torch_loop", "J": "jax_loop", "V": "torch_vmap"}
BATCH, FEATURES, CLASSES = 100, 40, 10


class Run(NamedTuple):
    """One process: wall seconds, peak memory in MiB, and what it reported."""

    wall: float
    mib: float
    report: dict[str, Any]


def process(command: list[str], **environment: str) -> tuple[float, float, str]:
    """Run a command; return wall seconds, peak MiB and standard output."""
    start = time.monotonic()
    child = subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert child.stdout is not None
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"failed ({child.returncode}): {' '.join(command)}")
    return time.monotonic() - start, usage.ru_maxrss / 1024, output


def ours(workplace: Path, sweep: str, *overrides: str) -> Run:
    """Run `ddlab sweep` into a fresh directory; the report sums the times of its packs."""
    out = Path(tempfile.mkdtemp(dir=workplace)) / "out"
    command = [sys.executable, "-m", "ddlab.cli", "sweep", sweep, *overrides, f"out={out}"]
    wall, mib, _ = process(command, DDLAB_CACHE=str(workplace / "cache"), PYTHONPATH=str(ROOT))
    abouts = Store(out).read_abouts().values()
    keys = ("trace_seconds", "compile_seconds", "waited_seconds", "run_seconds", "step_seconds", "eval_seconds", "trial_steps")
    return Run(wall, mib, {"packs": len(abouts), **{key: sum(about[key] for about in abouts) for key in keys}})


def peer(script: str, path: Path) -> Run:
    """Run a peer on a problem."""
    wall, mib, output = process([sys.executable, str(HERE / f"{script}.py"), str(path)])
    return Run(wall, mib, json.loads(output))


def problem_of(workplace: Path, name: str, leaves: Leaves, **changes: Any) -> Path:
    """Write the problem of a config for the peers."""
    dataset, train = dataset_of(leaves), train_settings(leaves)
    arrays = dict(dataset.arrays)
    settings = {
        "model": "mlp" if dataset.num_tokens is None else "quadratic",
        "widths": [leaves["model.width"]],
        "seeds": [0],
        "steps": train.steps,
        "eval_steps": eval_steps(train).tolist(),
        "batch_size": train.batch_size,
        "num_outputs": dataset.num_classes,
        "alphabet": dataset.num_tokens,
        **{key: leaves[f"optimizer.{key}"] for key in ("learning_rate", "weight_decay", "b1", "b2")},
        "threads": 1,
        "fused": False,
        "gradient_norm": any(key.startswith("measures.gradient_norm") for key in leaves),
    }
    return problem.write(workplace / name, arrays, {**settings, **changes})


def fastest(workplace: Path, script: str, leaves: Leaves, **changes: Any) -> dict[str, Any]:
    """Return the number of threads, and fused Adam or not, with which a PyTorch peer is fastest, by a short run of each."""
    counts = range(1, num_cores() + 1)
    choices = [{"threads": count, "fused": fused} for count in counts for fused in (False, True)]
    paths = [problem_of(workplace, f"try-{index}", leaves, **changes, **choice) for index, choice in enumerate(choices)]
    seconds = [peer(script, path).report["seconds"] for path in paths]
    return choices[int(np.argmin(seconds))]


def rounds(runs: dict[str, Callable[[], Run]]) -> dict[str, list[Run]]:
    """Run everything in turn, ROUNDS times."""
    done: dict[str, list[Run]] = {name: [] for name in runs}
    for index in range(ROUNDS):
        for name, run in runs.items():
            done[name].append(run())
            say(f"  round {index + 1}: {name} {done[name][-1].wall:.1f} s")
    return done


def median(runs: list[Run], of: Callable[[Run], float]) -> float:
    return statistics.median(of(run) for run in runs)


def wall(run: Run) -> float:
    return run.wall


def rate(run: Run) -> float:
    """Return trial-steps per second of the loop: no imports, no compilation."""
    return run.report["trial_steps"] / run.report.get("run_seconds", run.report.get("seconds"))


def clear_compiled(workplace: Path) -> None:
    shutil.rmtree(workplace / "cache" / "compiled", ignore_errors=True)


def say(text: str) -> None:
    print(text, flush=True)


# --- the benchmarks --------------------------------------------------------------------------------------------------


def whole_sweep(workplace: Path) -> dict[str, Any]:
    """1. A grid of mnist1d_quick, 20 widths x 4 seeds x 3000 steps: wall time of the whole process; the peers do not evaluate."""
    widths = [2, 4, 6, 8, 11, 16, 20, 25, 32, 40, 50, 64, 80, 100, 128, 160, 200, 240, 280, 320]
    data = ("data.num_train=1000", "data.num_test=4000", "data.label_noise=0.2", "data.seed=0", "measures.gradient_norm=null")
    leaves = leaves_of(*data, "optimizer.learning_rate=0.003", "train.steps=3000", "train.batch_size=100")
    best = fastest(workplace, "torch_loop", leaves, widths=widths, steps=200, eval_steps=[])
    path = problem_of(workplace, "quick", leaves, widths=widths, seeds=list(range(4)), eval_steps=[], **best)
    grid = (f"model.width={','.join(map(str, widths))}", "train.steps=3000", "seed=range(4)", "data.seed=0")

    def cold() -> Run:
        clear_compiled(workplace)
        return ours(workplace, "mnist1d_quick", *grid)

    done = rounds(
        {
            "cold": cold,
            "warm": partial(ours, workplace, "mnist1d_quick", *grid),
            "T": partial(peer, "torch_loop", path),
            "J": partial(peer, "jax_loop", path),
        }
    )
    seconds = {name: median(runs, wall) for name, runs in done.items()}
    compiling = {name: median(done[name], lambda run: run.report["compile_seconds"]) for name in ("cold", "warm")}
    tracing = median(done["warm"], lambda run: run.report["trace_seconds"])
    return {
        **{f"T_{key}": value for key, value in best.items()},
        **{f"{name}_seconds": value for name, value in seconds.items()},
        "T_over_cold": seconds["T"] / seconds["cold"],
        "J_over_cold": seconds["J"] / seconds["cold"],
        "J_over_warm": seconds["J"] / seconds["warm"],
        "T_over_warm": seconds["T"] / seconds["warm"],
        "compile_seconds_cold": compiling["cold"],
        "compile_seconds_warm": compiling["warm"],
        "compile_warm_over_cold": compiling["warm"] / compiling["cold"],
        "trace_seconds": tracing,
        "packs": done["cold"][0].report["packs"],
    }


def one_width(workplace: Path) -> dict[str, Any]:
    """2. Widths 16, 128 and 1024 alone, many seeds: trial-steps per second, and the share of the machine's limits."""
    limits = json.loads(process([sys.executable, "-m", "tests.benchmarks.limits"], PYTHONPATH=str(ROOT))[2])
    found: dict[str, Any] = {**limits}
    for width, num_seeds, steps, peer_steps in ((16, 512, 4000, 20000), (128, 128, 4000, 15000), (1024, 16, 3000, 4000)):
        data = ("data.num_train=1000", "data.num_test=4000", "data.label_noise=0.2", "data.seed=0", "measures.gradient_norm=null")
        train = ("train.batch_size=100", "train.num_evals=4", "optimizer.learning_rate=0.003")
        leaves = leaves_of(*data, *train, f"model.width={width}", f"train.steps={peer_steps}")
        seeds = {"seeds": list(range(16))}
        best = {
            "T": fastest(workplace, "torch_loop", leaves, steps=500, eval_steps=[]),
            "V": fastest(workplace, "torch_vmap", leaves, steps=100, eval_steps=[], **seeds),
        }
        paths = {
            "T": problem_of(workplace, f"t{width}", leaves, **best["T"]),
            "J": problem_of(workplace, f"j{width}", leaves),
            "V": problem_of(workplace, f"v{width}", leaves, **best["V"], **seeds, steps=peer_steps // 4),
        }
        overrides = (*data, *train, f"model.width={width}", f"train.steps={steps}", f"seed=range({num_seeds})")
        runs = {name: partial(peer, SCRIPTS[name], paths[name]) for name in paths}
        done = rounds({"ddlab": partial(ours, workplace, "mnist1d_quick", *overrides), **runs})
        rates = {name: median(those, rate) for name, those in done.items()}
        # Forward 2 (D + K) h, gradients of both weights as much, of the hidden layer 2 K h.
        flops = 2 * BATCH * width * (2 * (FEATURES + CLASSES) + CLASSES)
        found[f"width_{width}"] = {
            **{f"{name}_{key}": value for name, those in best.items() for key, value in those.items()},
            **{f"{name}_trial_steps_per_second": value for name, value in rates.items()},
            **{f"ddlab_over_{name}": rates["ddlab"] / rates[name] for name in paths},
            "gflops": rates["ddlab"] * flops / 1e9,
            "share_of_matmul_peak": rates["ddlab"] * flops / 1e9 / limits["matmul_gflops"],
            "share_of_bandwidth_bound": rates["ddlab"] * traffic(width) / 1e9 / limits["memory_gb_per_second"],
        }
    return found


def traffic(width: int) -> float:
    """Return the bytes that a step moves if nothing stays in cache: parameters and moments in and out, activations twice."""
    params = (FEATURES + 1) * width + (width + 1) * CLASSES
    return 4 * (6 * params + 2 * BATCH * (FEATURES + 3 * width + 3 * CLASSES))


def modular_addition(workplace: Path) -> dict[str, Any]:
    """3. Addition mod 97, quadratic MLP of width 500, full batch, five data fractions: trial-steps per second."""
    found: dict[str, Any] = {}
    shared = ("data.seed=0", "measures.gradient_norm=null", "train.num_evals=2", "train.eval_spacing=linear", "train.steps=60")
    for fraction in (0.15, 0.2, 0.25, 0.3, 0.5):
        config = ("data=modular", "model=quadratic_mlp", "optimizer=adamw", "train.batch_size=null", "train.loss=mse")
        leaves = leaves_of(*config, *shared, f"data.train_fraction={fraction}", "model.width=500", "optimizer.weight_decay=5")
        seeds = {"seeds": [0, 1, 2, 3]}
        best = {
            "T": fastest(workplace, "torch_loop", leaves, steps=20, eval_steps=[]),
            "V": fastest(workplace, "torch_vmap", leaves, steps=5, eval_steps=[], **seeds),
        }
        paths = {
            "T": problem_of(workplace, f"m{fraction}", leaves, **best["T"]),
            "J": problem_of(workplace, f"n{fraction}", leaves),
            "V": problem_of(workplace, f"o{fraction}", leaves, **best["V"], **seeds, steps=15),
        }
        overrides = (*shared, f"data.train_fraction={fraction}", "train.stop_metric=null", "seed=range(12)")
        runs = {name: partial(peer, SCRIPTS[name], paths[name]) for name in paths}
        done = rounds({"ddlab": partial(ours, workplace, "modular_addition_fraction", *overrides), **runs})
        rates = {name: median(those, rate) for name, those in done.items()}
        found[f"fraction_{fraction}"] = {
            **{f"{name}_{key}": value for name, those in best.items() for key, value in those.items()},
            **{f"{name}_trial_steps_per_second": value for name, value in rates.items()},
            **{f"ddlab_over_{name}": rates["ddlab"] / rates[name] for name in paths},
        }
    return found


def growth(workplace: Path) -> dict[str, Any]:
    """4. Time and memory against the number of trials of one signature; packs against the number of widths."""
    found: dict[str, Any] = {"trials": {}, "budget_1_gib": {}, "budget_128_mib": {}, "widths": {}}
    small = ("data.seed=0", "model.width=64", "train.steps=1000", "train.num_evals=5")
    large = (
        "data.seed=0",
        "model.width=1024",
        "train.steps=50",
        "train.num_evals=2",
        "measures.gradient_norm=null",
    )  # 0.6 MiB a trial
    for name, memory, shared in (("trials", 4.0, small), ("budget_1_gib", 1.0, large), ("budget_128_mib", 0.125, large)):
        runs = {}
        for count in (10, 100, 1000):
            overrides = (*shared, f"seed=range({count})", f"pack.memory_gib={memory}")
            runs[str(count)] = partial(ours, workplace, "mnist1d_quick", *overrides)
        for count, those in rounds(runs).items():
            found[name][count] = {
                "run_milliseconds_per_trial": 1e3 * median(those, lambda run: run.report["run_seconds"]) / int(count),
                "peak_mib": median(those, lambda run: run.mib),
                "packs": those[0].report["packs"],
            }
    runs = {}
    for count in (5, 10, 20, 40):
        widths = ",".join(str(width) for width in np.unique(np.rint(np.geomspace(4, 512, count)).astype(int)))
        overrides = (f"model.width={widths}", "seed=0", "train.steps=2000", "train.num_evals=3")
        runs[str(count)] = partial(ours, workplace, "mnist1d_quick", *overrides)
    for count, those in rounds(runs).items():
        found["widths"][count] = {"packs": those[0].report["packs"], "wall_seconds": median(those, wall)}
    return found


def exact_solver(workplace: Path) -> dict[str, Any]:
    """5. mei2022_random_features, whole processes: ddlab against scikit-learn's Ridge and NumPy's lstsq called at each point."""
    sweep = yaml.safe_load((ROOT / "sweeps" / "mei2022_random_features.yaml").read_text())
    axes, data = sweep["axes"], sweep["data"]
    common = {
        "d": data["num_features"],
        "n": data["num_train"],
        **{key: data[key] for key in ("num_test", "signal", "noise_variance")},
        "widths": [int(width) for width in axes["model.width"].split(",")],
        "penalties": [float(penalty) for penalty in axes["optimizer.weight_decay"].split(",")],
        "seeds": int(axes["seed"].removeprefix("range(").removesuffix(")")),
    }
    paths, tried = {}, {}
    for name, shared in (("shared", True), ("alone", False)):
        for threads in (1, os.cpu_count()):
            path = workplace / f"{name}{threads}.json"
            path.write_text(json.dumps({**common, "shared": shared, "threads": threads}))
            tried[name, threads] = peer("sklearn_ridge", path).wall
            if tried[name, threads] <= min(seconds for (other, _), seconds in tried.items() if other == name):
                paths[name] = path

    def cold() -> Run:
        clear_compiled(workplace)
        return ours(workplace, "mei2022_random_features")

    peers = {name: partial(peer, "sklearn_ridge", path) for name, path in paths.items()}
    found = rounds({"cold": cold, "warm": partial(ours, workplace, "mei2022_random_features"), **peers})
    solving = median(found["warm"], lambda run: run.report["run_seconds"])
    operations = solve_operations(common)
    peak = json.loads(process([sys.executable, "-m", "tests.benchmarks.limits"], PYTHONPATH=str(ROOT))[2])["matmul64_gflops"]
    walls = {name: median(runs, wall) for name, runs in found.items()}
    return {
        **{f"{name}_s": seconds for name, seconds in walls.items()},
        **{f"{name}_with_{threads}_threads_s": seconds for (name, threads), seconds in tried.items()},
        "shared_solvers_alone_s": median(found["shared"], lambda run: run.report["solver_seconds"]),
        "solving_s": solving,
        "shared_over_cold": walls["shared"] / walls["cold"],
        "shared_over_warm": walls["shared"] / walls["warm"],
        "shared_over_solving": median(found["shared"], lambda run: run.report["seconds"]) / solving,
        "alone_over_cold": walls["alone"] / walls["cold"],
        "alone_over_warm": walls["alone"] / walls["warm"],
        "share_of_matmul_peak": operations / solving / 1e9 / peak,
        "matmul64_gflops": peak,
    }


def solve_operations(problem: dict[str, Any]) -> float:
    """Return the operations of the sweep: for each seed the features and inner products of the widest, and at each width an
    eigendecomposition (22/3 r^3), solutions and predictions.
    """
    n, widths = problem["n"], problem["widths"]
    examples, columns = n + problem["num_test"], 2 * len(problem["penalties"])
    nested = 2 * max(widths) * (examples * problem["d"] + n * n)
    at_widths = sum(22 / 3 * min(n, width) ** 3 + columns * 2 * width * (examples + n) for width in widths)
    return problem["seeds"] * (nested + at_widths)


def transformer(workplace: Path) -> dict[str, Any]:
    """6. One-layer transformers on modular addition, full batch: trial-steps per second, and the share of matmul peak."""
    limits = json.loads(process([sys.executable, "-m", "tests.benchmarks.limits"], PYTHONPATH=str(ROOT))[2])
    found: dict[str, Any] = {**limits}
    shared = ("data.seed=0", "train.num_evals=2", "train.eval_spacing=linear", "train.stop_metric=null")
    for modulus, width, fraction, num_seeds, steps, peer_steps in ((113, 128, 0.3, 2, 150, 40), (59, 64, 0.4, 8, 600, 300)):
        size = (f"model.width={width}", "model.heads=4", f"model.head_size={width // 4}", f"model.hidden={4 * width}")
        own = (*size, f"data.modulus={modulus}", f"data.train_fraction={fraction}")
        config = ("data=modular", 'data.sequence="a b ="', "model=transformer", "optimizer=adamw", "train.batch_size=null")
        leaves = leaves_of(*config, *own, *shared[:-1], f"train.steps={peer_steps}", "optimizer.weight_decay=1")
        sizes = {key: leaves[f"model.{key}"] for key in ("width", "heads", "head_size", "hidden")} | {"model": "transformer"}
        # What is evaluated is a larger share of the peer's fewer steps, so that it evaluates nothing.
        sizes |= {"eval_steps": []}
        best = fastest(workplace, "torch_transformer", leaves, **sizes, steps=10)
        path = problem_of(workplace, f"x{modulus}", leaves, **sizes, **best)
        overrides = (*own, *shared, f"train.steps={steps}", f"seed=range({num_seeds})")
        peers = {"X": partial(peer, "torch_transformer", path)}
        done = rounds({"ddlab": partial(ours, workplace, "nanda2023_data_fraction", *overrides), **peers})
        rates = {name: median(those, rate) for name, those in done.items()}
        flops = last_position(modulus, width, round(fraction * modulus**2))
        found[f"p_{modulus}"] = {
            **{f"X_{key}": value for key, value in best.items()},
            **{f"{name}_trial_steps_per_second": value for name, value in rates.items()},
            "ddlab_over_X": rates["ddlab"] / rates["X"],
            "gflop_a_step": flops / 1e9,
            "gflops": rates["ddlab"] * flops / 1e9,
            "share_of_matmul_peak": rates["ddlab"] * flops / 1e9 / limits["matmul_gflops"],
        }
    return found


def convolutions(workplace: Path) -> dict[str, Any]:
    """7. The CNN of MNIST-1D with 32 channels, batches of 100, 8 seeds: trial-steps per second, and the share of matmul peak."""
    limits = json.loads(process([sys.executable, "-m", "tests.benchmarks.limits"], PYTHONPATH=str(ROOT))[2])
    width, evals = 32, ("train.num_evals=2", "train.eval_spacing=linear")
    config = ("data=mnist1d", "model=cnn_1d", "optimizer=adam", "data.label_noise=0.15", "data.seed=0", *evals)
    leaves = leaves_of(*config, f"model.width={width}", "train.steps=2000", "train.batch_size=100", "measures=none")
    sizes = {"model": "cnn_1d", "eval_steps": []}
    best = fastest(workplace, "torch_loop", leaves, **sizes, steps=300)
    path = problem_of(workplace, "cnn", leaves, **sizes, **best)
    own = ("optimizer=adam", "~optimizer.momentum", f"model.width={width}", "seed=range(8)", "data.seed=0", "train.steps=4000")
    done = rounds(
        {
            "ddlab": partial(ours, workplace, "nakkiran2020_cnn", *own, *evals, "measures=none"),
            "T": partial(peer, "torch_loop", path),
        }
    )
    rates = {name: median(those, rate) for name, those in done.items()}
    products = 19 * 5 * width + (10 + 5) * 3 * width**2 + 5 * width * CLASSES
    gflops = rates["ddlab"] * 6 * BATCH * products / 1e9
    return {
        **limits,
        **{f"T_{key}": value for key, value in best.items()},
        **{f"{name}_trial_steps_per_second": value for name, value in rates.items()},
        "ddlab_over_T": rates["ddlab"] / rates["T"],
        "gflops": gflops,
        "share_of_matmul_peak": gflops / limits["matmul_gflops"],
    }


def tickets(workplace: Path) -> dict[str, Any]:
    """8. Tickets of 13 levels on MNIST-1D, 147 networks: seconds a network, against the usual loop and a sweep without levels."""
    return {f"width_{width}": tickets_of(workplace, width) for width in (50, 100, 200)}


def tickets_of(workplace: Path, width: int) -> dict[str, Any]:
    config = ("data=mnist1d", "optimizer=adam", "optimizer.learning_rate=0.02", "data.num_train=4000", "data.num_test=1000")
    steps = ("train.steps=1500", "train.num_evals=2", "train.eval_spacing=linear", f"model.width={width}", "measures=none")
    leaves = leaves_of(*config, *steps, "train.batch_size=100")
    sizes = {"rounds": 10, "eval_steps": []}
    best = fastest(workplace, "torch_tickets", leaves, **{**sizes, "rounds": 1}, steps=300)
    path = problem_of(workplace, f"tickets-{width}", leaves, **sizes, **best)
    arms = ("stages.random=null", "stages.ticket.rounds=12", "seed=range(3)")
    sweep = yaml.safe_load((catalog.shipped("sweeps") / "frankle2019_tickets.yaml").read_text())
    flat = {key: value for key, value in sweep.items() if key not in ("stages", "figures", "claims")}
    (workplace / "flat.yaml").write_text(yaml.safe_dump(flat, sort_keys=False))
    done = rounds(
        {
            "ddlab": partial(ours, workplace, "frankle2019_tickets", *arms, *steps),
            "flat": partial(ours, workplace, str(workplace / "flat.yaml"), "seed=range(147)", "data.seed=0", *steps),
            "T": partial(peer, "torch_tickets", path),
        }
    )
    seconds = {name: median(those, wall) / (11 if name == "T" else 147) for name, those in done.items()}
    return {
        **{f"T_{key}": value for key, value in best.items()},
        **{f"{name}_seconds_per_network": value for name, value in seconds.items()},
        "T_over_ddlab": seconds["T"] / seconds["ddlab"],
        "ddlab_over_flat": seconds["ddlab"] / seconds["flat"],
    }


def last_position(modulus: int, width: int, num_train: int) -> float:
    """Return the operations of a step that the last position needs: 6 for each multiply-add of the forward pass.

    Of each example attention to three positions, its projection, an MLP of four times the width, and the outputs; of each token
    and position a key and a value, and one query.
    """
    example = 2 * 3 * width + width**2 + 8 * width**2 + width * modulus
    once = 2 * (2 * modulus + 1) * width**2 + width**2
    return 6.0 * (num_train * example + once)


BENCHMARKS = {
    "1": whole_sweep,
    "2": one_width,
    "3": modular_addition,
    "4": growth,
    "5": exact_solver,
    "6": transformer,
    "7": convolutions,
    "8": tickets,
}


def rows(found: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return the numbers of nested mappings by dotted name."""
    flat = []
    for key, value in found.items():
        flat += rows(value, f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + key, value)]
    return flat


def main() -> None:
    """Run the benchmarks that the command line names, all by default."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmarks", nargs="*", metavar="NUMBER", help="1 to 8; default: all")
    chosen = parser.parse_args().benchmarks or list(BENCHMARKS)
    if unknown := set(chosen) - set(BENCHMARKS):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; known: {', '.join(BENCHMARKS)}")
    path = ROOT / "results" / "bench.json"
    stored = json.loads(path.read_text()) if path.exists() else {}
    with tempfile.TemporaryDirectory() as directory:
        workplace = Path(directory)
        os.environ["DDLAB_CACHE"] = str(workplace / "cache")
        ours(workplace, "mnist1d_quick", "train.steps=2", "seed=0", "model.width=4")  # data, and the speed of the machine
        for number in chosen:
            title = (BENCHMARKS[number].__doc__ or "").strip()
            say(title)
            found = BENCHMARKS[number](workplace)
            stored[number] = {"title": title, **found}
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(stored, indent=1) + "\n")
            for name, value in rows(found):
                say(f"  {name:56s} {value:12.4g}")
    say(f"written to {path}")


if __name__ == "__main__":
    main()
