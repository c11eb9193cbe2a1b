"""Where sweeps and config groups lie: the user's ./sweeps and ./configs first, then those that ddlab ships."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ddlab.errors import ConfigError, suggest

# The config groups whose options are components, or several of them -> the key that an option is the value of; where components
# have names, an option goes by its own.
PLACES = {
    "data": "data",
    "model": "model",
    "optimizer": "optimizer",
    "measures": "measures",
    "loss": "train.loss",
    "augment": "train.augment",
    "teacher": "train.teacher",
    "values": "start.values",
    "mask": "start.mask",
    "score": "start.mask.score",
    "schedule": "optimizer.schedule",
    "modifier": "optimizer.modifiers.{name}",
}

# Those of them that are no use by themselves: they name other trials.
OF_TRIALS = ("values", "mask", "teacher")


def shipped(kind: str) -> Path:
    """Return the directory of shipped "configs" or "sweeps": inside the package of a wheel, else beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / kind
    return inside if inside.is_dir() else package.parent / kind


def search_path() -> list[Path]:
    """Return the directories that Hydra searches after the sweep's own, those of the user first."""
    own = [Path.cwd() / "sweeps", Path.cwd() / "configs"]
    found = [path for path in (*own, shipped("sweeps"), shipped("configs")) if path.is_dir()]
    return list(dict.fromkeys(path.resolve() for path in found))


def sweep_files() -> dict[str, Path]:
    """Return every sweep that has a name: name -> YAML file."""
    directories = [shipped("sweeps"), Path.cwd() / "sweeps"]
    return {path.stem: path.resolve() for directory in directories for path in sorted(directory.glob("*.yaml"))}


def config_groups(directories: Iterable[Path]) -> dict[str, list[str]]:
    """Return the config groups found in some directories: group -> its options."""
    found: dict[str, set[str]] = {}
    for directory in directories:
        for file in directory.glob("*/*.yaml"):
            found.setdefault(file.parent.name, set()).add(file.stem)
    return {group: sorted(options) for group, options in sorted(found.items())}


def component_options() -> list[str]:
    """Return every option of a config group that holds a component which can be tried by itself, such as "model=mlp"."""
    groups = config_groups(search_path())
    return [
        f"{group}={option}" for group in PLACES if group not in OF_TRIALS for option in groups.get(group, ()) if option != "none"
    ]


def place(group: str, option: str) -> str:
    """Return the key that an option of a config group is the value of."""
    return PLACES.get(group, group).format(name=option)


def find_sweep(name: str) -> Path:
    """Return the YAML file of a sweep's name or path.

    Raises:
        ConfigError: there is none; the line names the nearest.
    """
    if name.endswith(".yml"):
        raise ConfigError(f"sweep '{name}': the name of a sweep's file ends with .yaml, as Hydra reads no other")
    if name.endswith(".yaml"):
        path = Path(name)
        if path.is_file():
            return path.resolve()
        raise ConfigError(f"sweep '{name}': no such file")
    files = sweep_files()
    if name not in files:
        raise ConfigError(f"unknown sweep '{name}'. {suggest(name, files)}".rstrip())
    return files[name]


def find_results(name: str) -> Path:
    """Return the results directory of a sweep's name or path: NAME itself, results/NAME, or what its file names as `out`.

    Raises:
        ConfigError: there is none.
    """
    is_file = name.endswith(".yaml")
    candidates = [Path(name), Path("results") / (Path(name).stem if is_file else name)]
    file = Path(name) if is_file and Path(name).is_file() else sweep_files().get(name)
    candidates += _own_out(file) if file else []
    for path in candidates:
        if (path / "sweep.yaml").is_file():
            return path
    missing = f"no stored results for '{name}' (looked in {' and '.join(map(str, candidates))})"
    if file:
        reference = Path("results", "reference", file.stem)
        there = f". Reference results: ddlab report {reference}" if (reference / "sweep.yaml").is_file() else ""
        raise ConfigError(f"{missing}; ddlab sweep {name} makes them{there}")
    raise ConfigError(f"{missing}. {suggest(name, stored_sweeps())}".rstrip())


def _own_out(file: Path) -> list[Path]:
    """Return the results directory that a sweep's file names, where it can be read and names one."""
    import yaml

    from ddlab.yaml_files import read_yaml

    try:
        sweep = read_yaml(file)
    except yaml.YAMLError:  # what is stored may be shown all the same
        return []
    out = sweep.get("out") if isinstance(sweep, dict) else None
    return [Path(os.path.expanduser(out))] if isinstance(out, str) else []


def stored_sweeps() -> dict[str, Path]:
    """Return what is stored below ./results, also a directory further down: name -> results directory."""
    root = Path("results")
    found = [path.parent for pattern in ("*/sweep.yaml", "*/*/sweep.yaml") for path in root.glob(pattern)]
    return {path.relative_to(root).as_posix(): path for path in sorted(found)}
