"""What `ddlab plan` and `ddlab sweep` do with a composed sweep: show its packs, or store the plan and launch them."""

from __future__ import annotations

import os
import shlex
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rich.box
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.table import Table

from ddlab import signals
from ddlab.composition import quoted
from ddlab.config import PackSettings, pack_settings
from ddlab.devices import use_cpu_cores
from ddlab.errors import DdlabError, LaunchError, PackFailed, StoreError
from ddlab.files import DamagedPart, first_line
from ddlab.job import COMMAND
from ddlab.lease import Lease, claim
from ddlab.machine import machine_file, this_machine
from ddlab.pack import Machine, Pack, pack_trials
from ddlab.plan import Part, Trial, make_trials, num_trials
from ddlab.provenance import add_provenance, this_run
from ddlab.rehearsal import rehearse
from ddlab.report.claims import make_claim
from ddlab.report.figures import make_recipe
from ddlab.store import Store
from ddlab.stored_plan import check_same_base, check_same_trials, extended_plan, listed, say_over_budget, stored_plan
from ddlab.sweeper import Composer, Sweep, compose_sweep, settle

# To plan more takes so long that the user is told.
MANY_TRIALS = 20_000

HEAD = ("title", "paper", "shows", "minutes")
GO_ON = "what is stored is kept, and the same command goes on"
SHOW_TRACEBACK = "HYDRA_FULL_ERROR=1 shows the traceback"
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
    sweep = compose_sweep(composer, overrides)
    settings = pack_settings(sweep.config)
    described = describe(name, sweep, [])
    for figure, spec in described["figures"].items():
        make_recipe(figure, spec)
    for claimed, spec in described["claims"].items():
        make_claim(claimed, spec)
    if (count := num_trials(sweep.parts)) > MANY_TRIALS:
        print(f"planning {count:,} trials ...", file=sys.stderr)
    trials = make_trials(sweep.parts, settle)
    signals.check()
    if action == "plan" or not _in_this_process(sweep.config):
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # several processes may share an accelerator
    use_cpu_cores(settings.cpu_devices)
    rehearse(trials)
    machine = this_machine()
    if action == "plan":
        packs = pack_trials(trials, settings, machine)
        print_plan(name, packs, machine, settings.memory)
        say_over_budget(packs, settings, machine)
        return
    store = Store(Path(sweep.config.out))
    with claim(store):
        pending = _store_plan(name, store, sweep, trials, settings, machine, this_run(command, overrides))
        if pending:
            fixed = [f"out={quoted(str(store.root))}", *_pack_overrides(sweep.config)]
            signals.check()
            submitted = submitted_jobs(store)
            try:
                with _as_command():
                    launch_packs(launch, pending, [[*fixed, *job] for job in _jobs(pending, sweep.config)])
            except KeyboardInterrupt:
                _tell_what_goes_on(store, pending, submitted_jobs(store) - submitted)
                raise
    _print_summary(name, store, {trial.id for trial in trials})
    if sweep.config.profile and (store.root / "profile").exists():
        print(f"profiles: {store.root / 'profile'}; for TensorBoard, or open a trace.json.gz in Perfetto")
    if left := [pack for pack in pending if not store.trials_file(pack).exists()]:
        holders = [f"pack {pack} to {Lease(store.pack_lease_file(pack)).living or 'nobody any more'}" for pack in left]
        raise StoreError(f"not all is done: {', '.join(holders)}; the same command goes on when they have ended")


@contextmanager
def _as_command() -> Iterator[None]:
    """Let the processes that are launched know which process to end with."""
    os.environ[COMMAND] = str(os.getpid())
    try:
        yield
    finally:
        os.environ.pop(COMMAND, None)


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


def launch_packs(launch: Launch, packs: Sequence[int], jobs: list[list[str]]) -> None:
    """Launch the jobs of some packs and wait for them.

    Raises:
        DdlabError, OSError: a job found a mistake of the user, or something amiss with the machine.
        LaunchError: packs failed otherwise (the others are stored), or the launcher itself did.
    """
    try:
        returns = launch(jobs)
    except (DdlabError, OSError, HydraException, OmegaConfBaseException):
        raise
    except BrokenProcessPool as error:
        raise LaunchError(f"a process that trained packs was killed (out of memory?); {GO_ON}") from error
    except Exception as error:
        text = f"{type(error).__name__}: {first_line(error)}"
        raise LaunchError(f"the launcher failed: {text} ({SHOW_TRACEBACK}); {GO_ON}") from error
    failed = {pack: job._return_value for pack, job in zip(packs, returns, strict=True) if job.status is not JobStatus.COMPLETED}
    told = {pack: _failure(failure) for pack, failure in failed.items()}
    if len(set(told.values())) == 1 and isinstance(failure := next(iter(failed.values())), DdlabError | OSError):
        raise failure
    if failed:
        lines = [f"pack {pack} failed: {text}" for pack, text in told.items()]
        raise LaunchError("\n".join(lines)) from ExceptionGroup("packs that failed", list(failed.values()))


def _failure(error: Exception) -> str:
    """Return why a pack failed, in words; equal for packs that failed alike."""
    if isinstance(error, DdlabError):
        return str(error)
    if isinstance(error, OSError):
        return error.strerror or first_line(error)
    line = error.line if isinstance(error, PackFailed) else f"{type(error).__name__}: {first_line(error)}"
    return f"{line} ({SHOW_TRACEBACK})"


def _store_plan(
    name: str,
    store: Store,
    sweep: Sweep,
    trials: Sequence[Trial],
    settings: PackSettings,
    machine: Machine,
    run: Mapping[str, Any],
) -> list[int]:
    """Store what the sweep is and its plan; return the packs that are to be run."""
    if not store.sweep_is_whole():
        if not sweep.config.extend:
            check_same_trials(store, trials)
        if store.exists():
            warnings.warn(f"{store.sweep_file}: damaged, made again", DamagedPart, stacklevel=2)
    stored = store.read_sweep() if store.sweep_is_whole() else None
    stored_parts = stored["parts"] if stored and store.begun_packs() else []
    check_same_base(store, stored_parts, sweep)
    packing = {"max_trials": settings.max_trials, "memory_gib": settings.memory_gib}
    plan = stored_plan(store, as_packed=stored is not None and stored.get("packing") == packing)
    plan = extended_plan(store, plan, trials, settings, machine)
    wanted = plan[plan["trial_id"].isin({trial.id for trial in trials})]
    pending = sorted(set(wanted["pack"]) - store.finished_packs())
    store.write_plan(plan)
    store.write_sweep({**describe(name, sweep, stored_parts), "packing": packing})
    add_provenance(store.provenance_file, run)
    done = len(wanted) - int(wanted["pack"].isin(pending).sum())
    if done:
        print(f"{done:,} of {len(wanted):,} trials are stored already in {store.root}", file=sys.stderr)
    return pending


def submitted_jobs(store: Store) -> set[str]:
    """Return the jobs that submitit knows of: each has a directory of its own."""
    return {path.name for path in (store.root / ".submitit").glob("[0-9]*")}


def _tell_what_goes_on(store: Store, packs: Sequence[int], jobs: set[str]) -> None:
    """Say which jobs do not end with the command that launched them."""
    at_work = {pack: holder for pack in packs if (holder := Lease(store.pack_lease_file(pack)).living)}
    if jobs:
        array = ", ".join(sorted({job.partition("_")[0] for job in jobs}))
        print(f"ddlab: {len(jobs)} submitted jobs go on by themselves; to end them: scancel {array}", file=sys.stderr)
    for pack, holder in at_work.items():
        print(f"ddlab: pack {pack} goes on: {holder}", file=sys.stderr)


# --- store -----------------------------------------------------------------------------------------------------------


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
    return {**choices, "axes": axes, "follows": follows, "base": listed(part.fixed)}


# --- printing --------------------------------------------------------------------------------------------------------


def print_plan(name: str, packs: Sequence[Pack], machine: Machine, memory: float) -> None:
    """Print the packs of a sweep and what they will cost; memory: bytes that a pack may take."""
    console = Console(markup=False, highlight=False, emoji=False)
    table = Table(box=rich.box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("pack", "trials", "width", "P", "P/N", "FLOPs", "MiB", "time"):
        table.add_column(heading, justify="right", no_wrap=True)
    num_trials = sum(len(pack.trials) for pack in packs)
    console.print(f"{name}: {num_trials:,} trials in {len(packs):,} pack{'s' if len(packs) > 1 else ''} (= compiled programs)")
    numbered = list(enumerate(packs))
    for index, pack in numbered if len(packs) <= 40 else [*numbered[:39], numbered[-1]]:
        if len(packs) > 40 and pack is packs[-1]:
            table.add_row("...")
        table.add_row(str(index), *_plan_cells([pack], machine, memory))
    table.add_section()
    table.add_row("all", *_plan_cells(packs, machine, memory))
    console.print(table)
    console.print(
        "Nothing was trained. MiB: arrays of the (largest) pack. Times: estimates for this machine, from a speed measured once"
        f" (to measure it again, remove {machine_file(machine.num_devices)})."
    )


def _plan_cells(packs: Sequence[Pack], machine: Machine, memory: float) -> list[str]:
    shapes = {id(trial.shape): trial.shape for pack in packs for trial in pack.trials}.values()
    params = [shape.size.num_params for shape in shapes]
    ratios = [shape.size.num_params / shape.size.num_train for shape in shapes]
    return [
        f"{sum(len(pack.trials) for pack in packs):,}",
        _range([shape.width for shape in shapes], "d") if any(shape.width for shape in shapes) else "-",
        _range(params, ",d"),
        _range(ratios, ".3g"),
        f"{sum(pack.flops for pack in packs):.1e}".replace("e+", "e"),
        f"{max(machine.num_bytes(pack.widest, len(pack.trials), memory) for pack in packs) / 2**20:,.0f}",
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
    trials = store.load_trials()
    trials = trials[trials["trial_id"].isin(wanted)]
    counts = ", ".join(f"{count:,} {status}" for status, count in trials["status"].value_counts().items())
    target = shlex.quote(name if store.root == Path("results") / name else str(store.root))
    print(f"{len(trials):,} trials ({counts}) in {store.root}\nnext: ddlab report {target}")
