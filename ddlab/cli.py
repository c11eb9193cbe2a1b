"""The command line. It starts fast: nothing here imports JAX, and `--help` imports nothing but the standard library."""

from __future__ import annotations

import os
import shlex
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO

from ddlab import catalog
from ddlab.errors import ConfigError, DdlabError, Interrupted, suggest
from ddlab.files import first_line
from ddlab.help import HELP, OVERVIEW
from ddlab.signals import listen


class OutputClosed(OSError):
    """Whoever read standard output, such as `head`, has gone: no mistake of anybody."""


class _Output:
    """Standard output that tells when its reader has gone; a broken pipe anywhere else is an error."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with _reader_may_go():
            return self._stream.write(text)

    def flush(self) -> None:
        with _reader_may_go():
            self._stream.flush()


@contextmanager
def _reader_may_go() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise OutputClosed(*error.args) from error


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        with listen(), warnings.catch_warnings(), redirect_stdout(_Output(sys.stdout)):
            warnings.showwarning = _show_warning  # type: ignore[assignment]
            status = _run(arguments)
            sys.stdout.flush()
        return status
    except DdlabError as error:
        return _say(error, str(error), error.exit_status)
    except Interrupted as interrupted:
        print(f"ddlab: stopped by {interrupted}{_how_to_go_on(arguments)}", file=sys.stderr)
        return 130
    except MemoryError as error:
        print(f"ddlab: this machine's memory does not do for it ({error or 'out of memory'})", file=sys.stderr)
        return 2
    except OutputClosed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        place = f"cannot use {error.filename}: " if error.filename is not None else ""
        return _say(error, f"{place}{error.strerror or first_line(error)}", 2)


def _say(error: Exception, line: str, status: int) -> int:
    """Print an error as one line, after its traceback where the user wants that; return the exit status."""
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        traceback.print_exception(error)
    for part in line.splitlines():
        print(f"ddlab: {part}", file=sys.stderr)
    return status


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
    if command not in _COMMANDS:
        raise ConfigError(f"unknown command '{command}'. {suggest(command, _COMMANDS)}")
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

    from ddlab.yaml_files import read_yaml

    if arguments:
        raise ConfigError(f"ddlab list: takes no arguments; got '{arguments[0]}'")
    for name, path in catalog.sweep_files().items():
        try:
            head = read_yaml(path)
        except yaml.YAMLError:
            head = None
        if not isinstance(head, dict):
            print(f"ddlab: {path}: not a sweep (not a YAML mapping), left out", file=sys.stderr)
            continue
        print(name + (f"  ({head['trials']} trials, {head.get('minutes', '?')} min)" if head.get("trials") else ""))
        for key in [key for key in ("title", "paper", "shows") if head.get(key) and (key != "title" or not head.get("shows"))]:
            print(textwrap.fill(str(head.get(key, "")), 96, initial_indent=f"    {key}: ", subsequent_indent=" " * 11))
    print("\nmin: wall minutes on 2 CPU cores. Next: ddlab plan NAME")
    return 0


def _application(action: str) -> Callable[[Sequence[str]], int]:
    """Return the command that runs a sweep as a Hydra application."""

    def run(arguments: Sequence[str]) -> int:
        from ddlab.application import run_application

        run_application(action, *_name(arguments, action))
        return 0

    return run


def _status(arguments: Sequence[str]) -> int:
    from ddlab.status import print_status, print_stored

    if not arguments:
        print_stored(catalog.stored_sweeps())
        return 0
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
    from ddlab.completion import SCRIPTS, complete

    if len(arguments) == 2 and arguments[0] == "words":
        try:
            words = complete(arguments[1])
        except Exception:  # the line is not finished; what is wrong with it is said when it is run
            return 0
        print("".join(f"{word}\n" for word in words), end="")
    elif len(arguments) == 1 and arguments[0] in SCRIPTS:
        print(SCRIPTS[arguments[0]], end="")
    else:
        raise ConfigError(f"ddlab completion: takes the name of a shell; known: {', '.join(SCRIPTS)}")
    return 0


_COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "list": _list,
    "plan": _application("plan"),
    "sweep": _application("sweep"),
    "status": _status,
    "report": _report,
    "verify": _verify,
    "completion": _completion,
}

if __name__ == "__main__":
    sys.exit(main())
