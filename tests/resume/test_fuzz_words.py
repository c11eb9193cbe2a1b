"""Generated command lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddlab.compose.hydra import compose_file
from tests.resume.fuzz import CHECKOUT, VALUES, Worker, check, contents, fault, lines, sampled


def entries(root: Path) -> set[tuple[str, str]]:
    """Return every file below a directory with its digest, and every directory."""
    return set(contents(root).items()) | {(str(path), "directory") for path in root.rglob("*") if path.is_dir()}


@pytest.mark.slow
def test_key_value_words(worker, place):
    keys = [key for key in compose_file(place / "tiny.yaml") if not key.startswith("hydra")]
    groups = [
        "data",
        "model",
        "optimizer",
        "train",
        "measures",
        "pack",
        "+x",
        "++x.y",
        "~seed",
        "~",
        "nope",
        "=",
        "hydra.job.chdir",
    ]
    cases = [["plan", "tiny.yaml", f"{key}={value}"] for key in [*keys, *groups] for value in VALUES]
    check(worker, place, "key=value", sampled(cases, 240, 0))
    check_refused_by_sweep(worker, place, sampled(cases, 60, 0))


def check_refused_by_sweep(worker: Worker, place: Path, planned: list[list[str]]) -> None:
    """Run those commands with "sweep" that "plan" refuses: they are refused too, and leave nothing."""
    refused = [["sweep", *words[1:]] for words in planned if worker.run(words)["status"] == 2]
    before, faults = entries(place), []
    for words in refused:
        found = worker.run(words)
        if said := fault(found) or (f"status {found['status']}" if found["status"] != 2 else ""):
            faults.append((words, said))
        if (now := entries(place)) != before:
            faults.append((words, f"changed {sorted(now ^ before)[:2]}"))
            before = now
    print(f"sweep as plan: {len(refused)} of {len(planned)} cases are refused")
    assert refused
    assert not faults, lines(faults)


@pytest.mark.slow
def test_commands_names_and_options(worker, place):
    commands = ["list", "plan", "status", "report", "verify", "completion", "swep", "", "-x", "--help"]
    names = [
        "tiny.yaml",
        "tiny",
        "nope",
        "",
        ".",
        "/",
        "results",
        "a\0b",
        "x" * 5000,
        "tiny.yaml/",
        "../tiny.yaml",
        "-",
        "ä",
        "=",
        "a=b",
    ]
    options = [
        [],
        ["--nope"],
        ["-c"],
        ["--cfg"],
        ["--cfg", "nope"],
        ["extra"],
        ["--multirun"],
        ["-p", "x"],
        ["out="],
        ["figures.x=1"],
    ]
    cases = [[command, name, *option] for command in commands for name in names for option in options]
    check(worker, place, "commands", sampled(cases, 100, 1))


def test_the_worker_tells_what_came_of_a_command(worker, workplace, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT))
    found = worker.run(["swep"])
    assert (found["status"], fault(found)) == (2, "")
    assert "did you mean 'sweep'" in found["err"]
    assert fault({**found, "status": "Traceback ..."})
    assert fault({**found, "seconds": 31.0})
    assert fault({**found, "err": "oops"})
