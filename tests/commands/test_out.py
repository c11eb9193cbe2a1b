"""`out=`: where a sweep is stored."""

from __future__ import annotations

from pathlib import Path

import pytest

import ddlab
from ddlab.cli import main
from ddlab.compose.hydra import unquoted

pytestmark = pytest.mark.usefixtures("fast_packs")


def test_out_may_hold_any_characters(tiny):
    assert main(["sweep", tiny, "seed=0", "model.width=3", "train.steps=2", "out=a=b, c's"]) == 0
    assert len(ddlab.load("a=b, c's").trials) == 1


def test_out_may_hold_backslashes_and_quotes(tiny):
    words = ["sweep", tiny, "seed=0", "model.width=3", "train.steps=2"]
    for number, out in enumerate(("a\\b", "dogs'", "'it\\'s'")):
        assert main([*words, f"out={out}"]) == 0
        assert len([path for path in Path().iterdir() if (path / "sweep.yaml").exists()]) == number + 1
        assert main(["status", unquoted(out)]) == 0
    assert {"a\\b", "dogs'", "it's"} <= {path.name for path in Path().iterdir()}


def test_out_may_lie_in_the_home_directory(tiny, workplace, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(workplace / "home"))
    assert main(["sweep", tiny, "seed=0", "model.width=3", "train.steps=2", "out=~/x"]) == 0
    assert len(ddlab.load("home/x").trials) == 1
    assert str(workplace / "home/x") in capsys.readouterr().out
    assert not Path("~").exists()


def test_out_of_the_sweeps_file_counts_and_the_command_lines_more(tiny, capsys):
    with open("sweeps/tiny.yaml", "a") as file:
        file.write("out: results/own\n")
    words = ["sweep", tiny, "seed=0", "model.width=3", "train.steps=2"]
    assert main(words) == 0
    assert main([*words, "out=results/other"]) == 0
    assert sorted(path.name for path in Path("results").iterdir()) == ["other", "own"]
    assert "next: ddlab report results/own\n" in capsys.readouterr().out
    assert main(["status", tiny]) == 0
    assert "tiny in results/own\n" in capsys.readouterr().out


def test_out_that_is_a_link_to_nothing_is_refused(tiny, workplace, capfd):
    (workplace / "dangling").symlink_to("nowhere")
    assert main(["sweep", tiny, "out=dangling"]) == 2
    assert capfd.readouterr().err == "ddlab: out=dangling: is a link to nowhere, which does not exist\n"
