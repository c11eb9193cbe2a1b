"""The command line. It starts fast: nothing here imports JAX, and `--help` imports nothing but the standard library."""

from __future__ import annotations

import gc
import os
import shlex
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from typing import Any, TextIO

from ddlab.commands import COMMANDS, help_of, overview
from ddlab.errors import ConfigError, DdlabError, Interrupted, suggest
from ddlab.files import first_line
from ddlab.job.signals import listen

# New objects until Python looks for garbage. Imports and configs make many that stay; looked through every 700, a seventh of a
# command's start would go by on that.
OBJECTS_UNLOOKED = 50_000


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
    gc.set_threshold(OBJECTS_UNLOOKED)
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
        print(overview(), end="")
        return 0
    if command == "--version":
        import ddlab

        print(f"ddlab {ddlab.__version__}")
        return 0
    if command not in COMMANDS:
        raise ConfigError(f"unknown command '{command}'. {suggest(command, COMMANDS)}")
    if {"-h", "--help"} & set(arguments[1:]):
        print(help_of(command), end="")
        return 0
    status: int = import_module(f"ddlab.commands.{command}").run(arguments[1:])
    return status


def _show_warning(message: Warning | str, *_: Any) -> None:
    print(f"ddlab: warning: {message}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
