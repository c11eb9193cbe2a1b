"""The command line. It starts fast: nothing here imports JAX, and `--help` imports nothing but the standard library."""

from __future__ import annotations

import os
import shlex
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ddlab import catalog
from ddlab.errors import ConfigError, DdlabError, Interrupted, suggest
from ddlab.help import HELP, OVERVIEW
from ddlab.signals import listen


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        with listen(), warnings.catch_warnings():
            warnings.showwarning = _show_warning  # type: ignore[assignment]
            status = _run(arguments)
            sys.stdout.flush()
        return status
    except DdlabError as error:
        print(f"ddlab: {error}", file=sys.stderr)
        return 2
    except Interrupted as interrupted:
        print(f"ddlab: stopped by {interrupted}{_how_to_go_on(arguments)}", file=sys.stderr)
        return 130
    except MemoryError as error:
        print(f"ddlab: this machine's memory does not do for it ({error or 'out of memory'})", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.filename is None:
            raise
        print(f"ddlab: cannot use {error.filename}: {error.strerror}", file=sys.stderr)
        return 2


def _how_to_go_on(arguments: Sequence[str]) -> str:
    if arguments[:1] != ["sweep"]:
        return ""
    return f"; everything so far is stored. Go on with:\n  {shlex.join(['ddlab', *arguments])}"


def _run(arguments: list[str]) -> int:
    command = arguments[0] if arguments else "--help"
    if command in ("-h", "--help", "help"):
        print(OVERVIEW, end="")
        return 0
    if command == "--version":
        import ddlab

        print(f"ddlab {ddlab.__version__}")
        return 0
    if command not in HELP:
        raise ConfigError(f"unknown command '{command}'. {suggest(command, HELP)}")
    if {"-h", "--help"} & set(arguments[1:]):
        print(HELP[command], end="")
        return 0
    return _COMMANDS[command](arguments[1:])


def _show_warning(message: Warning | str, *_: Any) -> None:
    print(f"ddlab: warning: {message}", file=sys.stderr)


def _name(arguments: Sequence[str], command: str) -> tuple[str, list[str]]:
    if not arguments or arguments[0].startswith("-") or "=" in arguments[0]:
        known = ", ".join(sorted(catalog.sweep_files()))
        raise ConfigError(f"ddlab {command}: needs a sweep's name or path first; known: {known}")
    return arguments[0], list(arguments[1:])


def _list(arguments: Sequence[str]) -> int:
    import textwrap

    import yaml

    if arguments:
        raise ConfigError(f"ddlab list: takes no arguments; got '{arguments[0]}'")
    for name, path in catalog.sweep_files().items():
        try:
            head = yaml.safe_load(path.read_text())
        except (yaml.YAMLError, UnicodeDecodeError):
            head = None
        if not isinstance(head, dict):
            print(f"ddlab: {path}: not a sweep (not a YAML mapping), left out", file=sys.stderr)
            continue
        print(name + (f"  ({head['trials']} trials, {head.get('minutes', '?')} min)" if head.get("trials") else ""))
        for key in [key for key in ("title", "paper", "shows") if head.get(key) and (key != "title" or not head.get("shows"))]:
            print(textwrap.fill(str(head.get(key, "")), 96, initial_indent=f"    {key}: ", subsequent_indent=" " * 11))
    print("\nmin: wall minutes on 2 CPU cores. Next: ddlab plan NAME")
    return 0


# What Hydra's own command line shows of a config.
HYDRA_FLAGS = ("--cfg", "-c", "--package", "-p", "--resolve", "--info", "-i")


def _hydra(action: str) -> Callable[[Sequence[str]], int]:
    """Return the command that runs a sweep as a Hydra application with ddlab's Sweeper."""

    def run(arguments: Sequence[str]) -> int:
        name, overrides = _name(arguments, action)
        path = catalog.find_sweep(name)
        flags = [word for word in overrides if word.startswith("-")]
        unknown = [flag for flag in flags if flag not in HYDRA_FLAGS]
        if unknown:
            raise ConfigError(f"unknown option '{unknown[0]}'; known: {', '.join(HYDRA_FLAGS)}, and overrides key=value")
        fixed = [
            *([] if flags else ["--multirun"]),
            "hydra/sweeper=ddlab",
            "hydra/hydra_logging=none",
            "hydra/job_logging=none",
            f"hydra.searchpath=[{','.join(_hydra_quoted(f'file://{path}') for path in catalog.search_path())}]",
            f"hydra.sweeper.action={action}",
            f"hydra.sweeper.command={_hydra_quoted(shlex.join(['ddlab', action, *arguments]))}",
        ]
        named = [word.removeprefix("out=").strip("'\"") for word in overrides if word.startswith("out=")]
        out = named[-1] if named else f"results/{path.stem}"
        if not out:
            raise ConfigError("out=: names no directory")
        rest = [word for word in overrides if not word.startswith("out=")]
        if not flags:
            from ddlab.removal import removed_key

            removed = [key for key in map(removed_key, rest) if key]
            rest = [f"hydra.sweeper.removed=[{','.join(removed)}]", *(word for word in rest if not removed_key(word))]
        _run_hydra(path, [*fixed, f"out={_hydra_quoted(out)}", *rest], overrides)
        return 0

    return run


def _hydra_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _run_hydra(path: Path, words: list[str], overrides: list[str]) -> None:
    import hydra
    import yaml
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from ddlab.composition import explain, version_base

    command = sys.argv
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come here whole, and leave as one line
    try:
        head = yaml.safe_load(path.read_text())
        if not isinstance(head, dict) or not head.get("defaults"):
            raise ConfigError(f"{path}: a sweep is a mapping with `defaults: [ddlab, ..., _self_]`; see the README")
        sys.argv = ["ddlab", *words]
        hydra.main(config_path=str(path.parent), config_name=path.stem, **version_base())(train_pack)()
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error, path, overrides)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} or a config that it names is not valid YAML: {' '.join(str(error).split())}") from error
    except (ValueError, TypeError) as error:
        if not traceback.extract_tb(error.__traceback__)[-1].filename.endswith("defaults_list.py"):
            raise  # not Hydra's, for a group that was given no name
        raise ConfigError(f"{shlex.join(overrides)}: a config group needs the name of one of its options") from error
    finally:
        sys.argv = command


def train_pack(config: Any) -> None:
    """Train one pack: the job that Hydra launches."""
    from ddlab.config import pack_settings
    from ddlab.run import run_pack

    run_pack(config.out, config.pack.index, pack_settings(config))


def _status(arguments: Sequence[str]) -> int:
    from ddlab.status import print_status

    name, rest = _name(arguments, "status")
    if rest:
        raise ConfigError(f"ddlab status: takes one name; got '{rest[0]}' too")
    print_status(catalog.find_results(name))
    return 0


def _report(arguments: Sequence[str]) -> int:
    from ddlab.report import make_report

    name, overrides = _name(arguments, "report")
    return make_report(catalog.find_results(name), overrides)


def _verify(arguments: Sequence[str]) -> int:
    from ddlab.verify import print_verdicts

    name, rest = _name(arguments, "verify")
    if rest:
        raise ConfigError(f"ddlab verify: takes one name; got '{rest[0]}' too")
    return print_verdicts(catalog.find_results(name))


def _completion(arguments: Sequence[str]) -> int:
    from ddlab.completion import BASH, complete

    if list(arguments) == ["bash"]:
        print(BASH, end="")
    elif len(arguments) == 2 and arguments[0] == "words":
        print("\n".join(complete(arguments[1])))
    else:
        raise ConfigError("ddlab completion: known shells: bash")
    return 0


_COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "list": _list,
    "plan": _hydra("plan"),
    "sweep": _hydra("sweep"),
    "status": _status,
    "report": _report,
    "verify": _verify,
    "completion": _completion,
}

if __name__ == "__main__":
    sys.exit(main())
