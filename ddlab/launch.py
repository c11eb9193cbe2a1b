"""What `ddlab plan` and `ddlab sweep` do with a composed sweep: show its packs, or store the plan and launch them."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import rich.box
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

import ddlab
from ddlab.claim import claim
from ddlab.config import Leaves, PackSettings, pack_settings
from ddlab.devices import use_cpu_cores
from ddlab.errors import DdlabError, Interrupted, StoreError
from ddlab.machine import machine_file, this_machine
from ddlab.pack import Machine, Pack, pack_trials
from ddlab.plan import Part, Trial, make_trials
from ddlab.report.claims import make_claim
from ddlab.report.figures import make_recipe
from ddlab.store import Store
from ddlab.sweeper import Composer, Sweep, base_differences, compose_sweep, settle

HEAD = ("title", "paper", "shows", "minutes")
Launch = Callable[[list[list[str]]], Sequence[JobReturn]]


def plan_and_launch(name: str, composer: Composer, overrides: Sequence[str], action: str, command: str, launch: Launch) -> None:
    """Plan a sweep and, unless the action is "plan", store the plan and launch the packs that are not finished.

    Args:
        name: the sweep's.
        composer: access to Hydra.
        overrides: of the command line.
        action: "plan" or "sweep".
        command: the command line as the user typed it.
        launch: hands jobs, each a list of overrides, to Hydra's launcher.
    """
    with _signals_interrupt() as received:
        _plan_and_launch(name, composer, overrides, action, command, launch, received)


def _plan_and_launch(
    name: str,
    composer: Composer,
    overrides: Sequence[str],
    action: str,
    command: str,
    launch: Launch,
    received: Sequence[str],
) -> None:
    sweep = compose_sweep(composer, overrides)
    settings = pack_settings(sweep.config)
    described = describe(name, sweep, [])
    for figure, spec in described["figures"].items():
        make_recipe(figure, spec)
    for claimed, spec in described["claims"].items():
        make_claim(claimed, spec)
    trials = make_trials(sweep.parts, settle)
    if action == "plan" or not _in_this_process(sweep.config):
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # several processes may share an accelerator
    use_cpu_cores(settings.cpu_devices)
    machine = this_machine()
    if action == "plan":
        print_plan(name, pack_trials(trials, settings, machine), machine)
        return
    store = Store(Path(sweep.config.out).expanduser())
    with claim(store):
        stored = store.read_sweep() if store.exists() else None
        begun = store.begun_packs()
        stored_parts = stored["parts"] if stored and begun else []
        check_same_base(store, stored_parts, sweep)
        packing = {"max_trials": settings.max_trials, "memory_gib": settings.memory_gib}
        old_plan = store.read_plan() if begun else store.read_plan().iloc[:0]
        if stored and stored.get("packing") != packing:
            old_plan = old_plan[old_plan["pack"].isin(begun)]
        plan = extended_plan(old_plan, trials, settings, machine)
        wanted = plan[plan["trial_id"].isin({trial.id for trial in trials})]
        pending = sorted(set(wanted["pack"]) - store.finished_packs())
        store.write_plan(plan)
        store.write_sweep({**describe(name, sweep, stored_parts), "packing": packing})
        store.add_provenance(provenance(command, overrides))
        done = len(wanted) - int(wanted["pack"].isin(pending).sum())
        if done:
            print(f"{done:,} of {len(wanted):,} trials are stored already in {store.root}", file=sys.stderr)
        if pending:
            fixed = [f"out='{_escape(str(store.root))}'", *_pack_overrides(sweep.config)]
            if received:
                raise Interrupted(received[0])
            returns = launch([[*fixed, *job] for job in _jobs(pending, sweep.config)])
            _raise_failure(dict(zip(pending, returns, strict=True)))
    _print_summary(name, store, {trial.id for trial in trials})
    if sweep.config.profile and (store.root / "profile").exists():
        print(f"profiles: {store.root / 'profile'}; for TensorBoard, or open a trace.json.gz in Perfetto")


@contextmanager
def _signals_interrupt() -> Iterator[list[str]]:
    """Make SIGTERM stop a launcher as Ctrl-C does, so that it ends its worker processes; gives the signals that came.

    Python drops what is raised while JAX's hook of the garbage collector runs: only the list then tells of the signal.
    """
    received: list[str] = []

    def interrupt(number: int, _frame: Any) -> None:
        received.append(signal.Signals(number).name)
        raise Interrupted(received[0])

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def _pack_overrides(config: DictConfig) -> list[str]:
    fixed = {key: value for key, value in config.pack.items() if key not in ("index", "next")}
    return [f"pack.{key}={'null' if value is None else value}" for key, value in fixed.items()]


def _jobs(packs: Sequence[int], config: DictConfig) -> list[list[str]]:
    """Return the overrides that tell the jobs apart; in one process, each knows which pack comes after it."""
    jobs = [[f"pack.index={pack}"] for pack in packs]
    if _in_this_process(config):
        jobs = [[*job, f"pack.next={after}"] for job, after in zip(jobs, [*packs[1:], "null"], strict=True)]
    return jobs


def _in_this_process(config: DictConfig) -> bool:
    return bool(config.hydra.launcher._target_ == "hydra._internal.core_plugins.basic_launcher.BasicLauncher")


def _raise_failure(returns: Mapping[int, JobReturn]) -> None:
    failed = {pack: job for pack, job in returns.items() if job.status is not JobStatus.COMPLETED}
    for job in failed.values():
        if isinstance(job._return_value, DdlabError):
            raise job._return_value
    for pack, job in failed.items():
        print(f"pack {pack} failed: {job._return_value}", file=sys.stderr)
    for job in failed.values():
        _ = job.return_value


# --- store -----------------------------------------------------------------------------------------------------------


def check_same_base(store: Store, stored_parts: Sequence[Mapping[str, Any]], sweep: Sweep) -> None:
    """Refuse to mix trials of another base config into a store, unless `extend=true` asks for it.

    Raises:
        StoreError: naming the first keys that differ, and how to go on.
    """
    for part in sweep.parts:
        differences = [_differences(stored, part) for stored in stored_parts]
        if sweep.config.extend or not differences or [] in differences:
            continue
        least = min(differences, key=len)
        more = f" and {len(least) - 3} more" if len(least) > 3 else ""
        raise StoreError(
            f"out={store.root}: holds a sweep with another base config ({'; '.join(least[:3])}{more});"
            f" name another out=DIR, or add extend=true to mix them"
        )


def _differences(stored: Mapping[str, Any], part: Part) -> list[str]:
    """Return how a part's base differs from a stored one; what another choice of a group brings along does not count."""
    old, new = stored["structural"], part.structural
    if old.keys() == new.keys() and old != new:
        return []
    groups = tuple(f"{group}." for group in old.keys() ^ new.keys())
    bases = (
        {key: value for key, value in base.items() if not key.startswith(groups)}
        for base in (stored["base"], _listed(part.fixed))
    )
    return base_differences(*bases)


def extended_plan(plan: pd.DataFrame, trials: Sequence[Trial], settings: PackSettings, machine: Machine) -> pd.DataFrame:
    """Return the stored plan with the trials that it lacks appended, packed among themselves.

    Stored packs stay as they are: an unfinished one goes on with the same compiled program.
    """
    known = set(plan["trial_id"])
    packs = pack_trials([trial for trial in trials if trial.id not in known], settings, machine)
    first = 0 if plan.empty else int(plan["pack"].max()) + 1
    rows = []
    for index, pack in enumerate(packs, first):
        seconds = machine.seconds(pack.widest, len(pack.trials))
        rows += [{**_plan_row(trial, pack, index), "estimated_seconds": seconds} for trial in pack.trials]
    added = pd.DataFrame(rows)
    return added if plan.empty else pd.concat([plan, added], ignore_index=True) if rows else plan


def _plan_row(trial: Trial, pack: Pack, index: int) -> dict[str, Any]:
    size = trial.shape.size
    return {
        "trial_id": trial.id,
        "pack": index,
        "config": trial.config,
        "choices": json.dumps(dict(trial.shape.part.choices)),
        "num_params": size.num_params,
        "num_train": size.num_train,
        "num_outputs": size.num_outputs,
        "flops": pack.widest.flops,
    }


def describe(name: str, sweep: Sweep, stored_parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the content of sweep.yaml: the sweep, with the parts that the store holds already."""
    parts = [_describe_part(part) for part in sweep.parts]
    ours = [(part["structural"], part["base"]) for part in parts]
    return {
        "name": name,
        **{key: sweep.config[key] for key in HEAD},
        **{key: OmegaConf.to_container(sweep.config[key], resolve=True) for key in ("figures", "claims")},
        "parts": [*parts, *(part for part in stored_parts if (part["structural"], part["base"]) not in ours)],
    }


def _describe_part(part: Part) -> dict[str, Any]:
    axes = {key: list(values) for key, values in part.axes.items()}
    follows = {alias: axis for alias, (axis, _) in part.aliases.items()}
    choices = {"structural": dict(part.structural), "choices": dict(part.choices)}
    return {**choices, "axes": axes, "follows": follows, "base": _listed(part.fixed)}


def _listed(leaves: Leaves) -> dict[str, Any]:
    """Return leaves as YAML keeps them: tuples as lists."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in leaves.items()}


def provenance(command: str, overrides: Sequence[str]) -> dict[str, Any]:
    """Return what is known of this run of the command: when, command line, versions, git state."""
    packages = ("ddlab", "jax", "jaxlib", "flax", "optax", "hydra-core", "numpy", "pandas", "pyarrow", "mnist1d")
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "overrides": list(overrides),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {package: importlib.metadata.version(package) for package in packages},
        "git": _git_state(),
    }


def _git_state() -> dict[str, Any] | None:
    """Return commit and cleanliness of the checkout that ddlab runs from; None where it is installed."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(Path(ddlab.__file__).parent), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "clean": not git("status", "--porcelain")}
    except (OSError, subprocess.CalledProcessError):
        return None


# --- printing --------------------------------------------------------------------------------------------------------


def print_plan(name: str, packs: Sequence[Pack], machine: Machine) -> None:
    """Print the packs of a sweep and what they will cost."""
    console = Console()
    table = Table(box=rich.box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("pack", "trials", "width", "P", "P/N", "FLOPs", "MiB", "time"):
        table.add_column(heading, justify="right", no_wrap=True)
    num_trials = sum(len(pack.trials) for pack in packs)
    console.print(f"{name}: {num_trials:,} trials in {len(packs):,} pack{'s' if len(packs) > 1 else ''} (= compiled programs)")
    shown = packs if len(packs) <= 40 else [*packs[:39], packs[-1]]
    for pack in shown:
        if len(packs) > 40 and pack is packs[-1]:
            table.add_row("...")
        table.add_row(str(packs.index(pack)), *_plan_cells([pack], machine))
    table.add_section()
    table.add_row("all", *_plan_cells(packs, machine))
    console.print(table)
    console.print(
        "Nothing was trained. MiB: arrays of the (largest) pack. Times: estimates for this machine, from a speed measured once"
        f" (to measure it again, remove {machine_file(machine.num_devices)})."
    )


def _plan_cells(packs: Sequence[Pack], machine: Machine) -> list[str]:
    shapes = {id(trial.shape): trial.shape for pack in packs for trial in pack.trials}.values()
    params = [shape.size.num_params for shape in shapes]
    ratios = [shape.size.num_params / shape.size.num_train for shape in shapes]
    return [
        f"{sum(len(pack.trials) for pack in packs):,}",
        _range([shape.width for shape in shapes], "d"),
        _range(params, ",d"),
        _range(ratios, ".3g"),
        f"{sum(pack.flops for pack in packs):.1e}".replace("e+", "e"),
        f"{max(machine.num_bytes(pack.widest, len(pack.trials)) for pack in packs) / 2**20:,.0f}",
        duration(sum(machine.seconds(pack.widest, len(pack.trials)) for pack in packs)),
    ]


def _range(values: Sequence[float], form: str) -> str:
    low, high = min(values), max(values)
    return f"{low:{form}}" if low == high else f"{low:{form}}-{high:{form}}"


def duration(seconds: float) -> str:
    """Return seconds as a short text: '40 s', '3.2 min', '1.5 h'."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _print_summary(name: str, store: Store, wanted: set[str]) -> None:
    trials = store.load().trials
    trials = trials[trials["trial_id"].isin(wanted)]
    counts = ", ".join(f"{count:,} {status}" for status, count in trials["status"].value_counts().items())
    target = shlex.quote(name if store.root == Path("results") / name else str(store.root))
    print(f"{len(trials):,} trials ({counts}) in {store.root}\nnext: ddlab report {target}")
