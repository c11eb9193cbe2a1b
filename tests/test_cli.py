"""The command line: help, the overview, and how it ends when something fails."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from importlib import import_module

import pytest

from ddlab.cli import main
from ddlab.commands import COMMANDS, help_of
from ddlab.config import catalog


@pytest.mark.parametrize("words", [["--help"], *([command, "--help"] for command in COMMANDS), ["sweep", "quickstart", "--help"]])
def test_help_teaches_by_example_and_imports_nothing_heavy(words, capsys):
    code = f"import sys; from ddlab.cli import main; main({words!r}); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "ddlab " in done.stdout
    assert not {"jax", "hydra", "pandas", "numpy", "matplotlib"} & set(done.stderr.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_runs_and_has_its_help_and_its_line_in_the_overview(command, capsys):
    assert callable(import_module(f"ddlab.commands.{command}").run)
    assert help_of(command).startswith(f"usage: ddlab {command}")
    assert main([]) == 0
    assert f"\n  ddlab {command} " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (OSError("Couldn't read\nit"), "Couldn't read"),
        (OSError(errno.EACCES, "Permission denied", "there"), "cannot use there: Permission denied"),
    ],
)
def test_what_the_system_refuses_is_one_line(workplace, monkeypatch, capfd, error, expected):
    def fail():
        raise error

    monkeypatch.setattr(catalog, "sweep_files", fail)
    assert main(["list"]) == 2
    assert capfd.readouterr().err == f"ddlab: {expected}\n"
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    assert main(["list"]) == 2
    assert "in fail\n    raise error" in capfd.readouterr().err


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_of_standard_output_may_go(unbuffered):
    code = "import sys, os; from ddlab.cli import main; sys.stdin.read(); os._exit(main(['list']))"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONUNBUFFERED": unbuffered}, **pipes)
    process.stdout.close()
    process.stdin.close()
    assert (process.stderr.read(), process.wait()) == (b"", 0)
    process.stderr.close()
