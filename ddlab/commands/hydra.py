"""ddlab as a Hydra application: hands a command's words to Hydra, and turns what comes back into one line."""

from __future__ import annotations

import os
import re
import shlex
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ddlab.commands import HYDRA_FLAGS
from ddlab.config import catalog
from ddlab.errors import ConfigError


def run_application(action: str, name: str, overrides: Sequence[str]) -> None:
    """Compose a sweep and hand it to ddlab's Sweeper.

    Args:
        action: "plan" or "sweep".
        name: of the sweep, or the path of its file.
        overrides: of the command line, and Hydra's flags.

    Raises:
        ConfigError: a mistake in the sweep or the overrides.
    """
    from ddlab.compose.files import read_checked
    from ddlab.compose.hydra import quoted
    from ddlab.compose.removal import removed_key
    from ddlab.compose.words import is_inner

    path = catalog.find_sweep(name)
    flags = [word for word in overrides if word.startswith("-")]
    unknown = [flag for flag in flags if flag not in HYDRA_FLAGS]
    if unknown:
        raise ConfigError(f"unknown option '{unknown[0]}'; known: {', '.join(HYDRA_FLAGS)}, and overrides key=value")
    for word in overrides:
        _check_size(word)
    out = _out(overrides, read_checked(path, overrides), path.stem)
    rest = [word for word in overrides if not _names_out(word)]
    if not flags:
        removed = [key for key in map(removed_key, rest) if key]
        inner = [word for word in rest if is_inner(word)]
        rest = [
            f"hydra.sweeper.removed=[{','.join(removed)}]",
            f"hydra.sweeper.inner=[{','.join(map(quoted, inner))}]",
            *(word for word in rest if not removed_key(word) and word not in inner),
        ]
    words = [
        *([] if flags else ["--multirun"]),
        "hydra/sweeper=ddlab",
        "hydra/hydra_logging=none",
        "hydra/job_logging=none",
        "hydra.job.name=ddlab",
        f"hydra.searchpath=[{','.join(quoted(f'file://{path}') for path in catalog.search_path())}]",
        f"hydra.sweeper.action={action}",
        f"hydra.sweeper.command={quoted(shlex.join(['ddlab', action, name, *overrides]))}",
        f"out={quoted(out)}",
        *rest,
    ]
    with _one_line_errors(path, overrides):
        _run_hydra(path, words)


def _check_size(word: str) -> None:
    """Raise `ConfigError` for an override that Hydra's parser cannot take."""
    from ddlab.yaml_files import MOST_DEPTH, MOST_DIGITS

    shown = word if len(word) <= 60 else f"{word[:60]}..."
    if re.search(rf"\d{{{MOST_DIGITS + 1}}}", word):
        raise ConfigError(f"{shown}: a number of more than {MOST_DIGITS:,} digits")
    depth = 0
    for character in word:
        depth += (character in "[{(") - (character in ")}]")
        if depth > MOST_DEPTH:
            raise ConfigError(f"{shown}: brackets lie more than {MOST_DEPTH} deep")


def _names_out(word: str) -> bool:
    return word.lstrip("+").startswith("out=")


def _out(overrides: Sequence[str], sweep: Mapping[str, Any], default: str) -> str:
    """Return the results directory of the command line, else of the sweep's file, else results/NAME.

    Raises:
        ConfigError: it is no path, or a link to nothing.
    """
    from ddlab.compose.hydra import unquoted

    named = [unquoted(word.partition("=")[2]) for word in overrides if _names_out(word)]
    out = named[-1] if named else sweep.get("out", f"results/{default}")
    if not out or not isinstance(out, str):
        raise ConfigError(f"out={out if named else repr(out)}: names no directory")
    if not out.isprintable():
        raise ConfigError(f"out={out!r}: a directory's name has printable characters only")
    path = Path(os.path.expanduser(out))
    if str(path).startswith("~"):
        raise ConfigError(f"out={out}: {path.parts[0]} is nobody's home directory; ./{out} is one of that name here")
    if path.is_symlink() and not path.exists():
        raise ConfigError(f"out={out}: is a link to {os.readlink(path)}, which does not exist")
    return str(path) if out.startswith("~") else out


@contextmanager
def _one_line_errors(path: Path, overrides: Sequence[str]) -> Iterator[None]:
    """Turn what Hydra and OmegaConf raise for a mistake into a `ConfigError`."""
    import yaml
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from ddlab.compose.explain import explain

    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error, path, overrides)) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} or a config that it names is not valid YAML: {' '.join(str(error).split())}") from error
    except (ValueError, TypeError) as error:
        if not traceback.extract_tb(error.__traceback__)[-1].filename.endswith("defaults_list.py"):
            raise  # not Hydra's, for a group that was given no name
        raise ConfigError(f"{shlex.join(overrides)}: a config group needs the name of one of its options") from error
    except RuntimeError as error:
        if not re.match("Invalid plugin|Unknown plugin class", str(error)):
            raise
        raise ConfigError(f"hydra.sweeper: must be ddlab's own ({error})") from error


def _run_hydra(path: Path, words: Sequence[str]) -> None:
    import hydra
    from hydra._internal.hydra import Hydra

    from ddlab.compose.hydra import version_base

    command, full_error, get_mode = sys.argv, os.environ.get("HYDRA_FULL_ERROR"), Hydra.get_mode
    # To learn whether a config sets hydra.mode, Hydra would compose all of it once more; it is --multirun that counts.
    Hydra.get_mode = lambda *_, **__: None  # type: ignore[method-assign]
    sys.argv = ["ddlab", *words]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come here whole, and leave as one line
    try:
        hydra.main(config_path=str(path.parent), config_name=path.stem, **version_base())(train_pack)()
    finally:
        sys.argv = command
        Hydra.get_mode = get_mode  # type: ignore[method-assign]
        del os.environ["HYDRA_FULL_ERROR"]
        if full_error is not None:
            os.environ["HYDRA_FULL_ERROR"] = full_error


def train_pack(config: Any) -> None:
    """Train one pack: the job that Hydra's launchers run, often in another process."""
    from ddlab.commands.launch import run_job
    from ddlab.compose.typed import pack_settings

    run_job(config.out, config.pack.index, pack_settings(config))
