"""Completion: the words that may follow, and the same in each shell."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from ddlab.cli import main
from ddlab.commands import COMMANDS
from ddlab.commands.completion import complete
from ddlab.config import catalog

STORED = """\
schema_version: 3
name: tiny
parts: []
figures: {curve: {recipe: double_descent, x: model.width}}
"""


@pytest.fixture
def tiny(workplace):
    (workplace / "sweeps").mkdir()
    (workplace / "sweeps" / "tiny.yaml").write_text("defaults: [ddlab, _self_]\naxes: {model.width: '3,5'}\n")
    (workplace / "results/tiny").mkdir(parents=True)
    (workplace / "results/tiny/sweep.yaml").write_text(STORED)
    return workplace


def test_every_command_is_completed():
    assert complete("ddlab ") == sorted(COMMANDS)
    assert complete("ddlab ver") == ["verify"]
    assert complete("ddlab completion ") == ["bash", "fish", "zsh"]
    assert "--cfg" in complete("ddlab sweep quickstart --")


def test_sweeps_keys_and_options_are_completed(tiny):
    assert complete("ddlab sweep ") == sorted(catalog.sweep_files())
    assert complete("ddlab  sweep  quickst") == ["quickstart"]
    assert complete("ddlab sweep 'tiny' model.wi") == ["model.width="]
    assert complete("ddlab sweep tiny 'seed=range(3)' model.dep") == ["model.depth="]
    assert complete("ddlab sweep tiny optimizer=sgd optimizer.mom") == ["optimizer.momentum="]
    assert complete("ddlab sweep tiny optimizer=ad") == ["optimizer=adam", "optimizer=adamw"]
    assert complete("ddlab sweep tiny optimizer.sch") == ["optimizer.schedule="]
    assert complete("ddlab sweep tiny optimizer.schedule=co") == ["optimizer.schedule=constant", "optimizer.schedule=cosine"]
    assert complete("ddlab sweep tiny hydra/launcher=submitit_s") == ["hydra/launcher=submitit_slurm"]


def test_keys_are_completed_in_a_directory_whose_name_has_a_quote(tiny, monkeypatch):
    place = tiny / "it's\\"
    shutil.copytree(tiny / "sweeps", place / "sweeps")
    monkeypatch.chdir(place)
    assert complete("ddlab sweep tiny model.wi") == ["model.width="]


def test_stored_sweeps_and_the_options_of_their_figures_are_completed(tiny):
    for command in ("status", "report", "verify"):
        assert complete(f"ddlab {command} ") == ["tiny"]
    assert complete("ddlab report tiny figures.curve.x") == [f"figures.curve.{key}=" for key in ("x", "x_label", "x_scale")]
    assert complete("ddlab report tiny figures.curve.wh") == ["figures.curve.where."]
    assert complete("ddlab report results/tiny figures.curve.recipe=dou") == ["figures.curve.recipe=double_descent"]
    assert complete("ddlab report tiny +figures.map.r") == ["+figures.map.recipe="]
    assert complete("ddlab report tiny +figures.map.recipe=heatmap +figures.map.met") == ["+figures.map.metric="]
    assert complete("ddlab verify tiny figures.") == []


@pytest.mark.parametrize(
    "text", ["[" * 2000, "defaults: [ddlab, nothing, _self_]", "defaults: [tiny]", "a: 1\na: 2", "defaults: 5"]
)
def test_a_broken_sweep_completes_nothing_without_a_word(tiny, capfd, text):
    (tiny / "sweeps/tiny.yaml").write_text(text)
    (tiny / "results/tiny/sweep.yaml").write_text(text)
    for line in ("ddlab sweep tiny mod", "ddlab report tiny fig", "ddlab sweep nothere mod"):
        assert main(["completion", "words", line]) == 0
    assert capfd.readouterr() == ("", "")


def test_completion_imports_no_jax(tiny):
    code = "import sys; from ddlab.commands.completion import complete\n"
    for line in ("ddlab sweep tiny model.", "ddlab report tiny figures.curve."):
        code += f"assert complete({line!r})\n"
    subprocess.run([sys.executable, "-c", f"{code}assert 'jax' not in sys.modules"], check=True)


def test_an_unknown_shell_is_one_line(capfd):
    assert main(["completion", "tcsh"]) == 2
    assert capfd.readouterr().err == "ddlab: ddlab completion: takes the name of a shell; known: bash, zsh, fish\n"


# Each script completes the line that it is given as its argument, as if Tab were pressed, and prints what the line may become.
# What zsh is to print is never as it is typed: it may be echoed.
PRESS_TAB = {
    "bash": """\
eval "$(ddlab completion bash)"
compopt() { :; }
COMP_LINE="$1" COMP_POINT=${#1}
_ddlab
printf '%s\\n' "${COMPREPLY[@]}"
""",
    "zsh": """\
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'PROMPT=; stty -echo; autoload -Uz compinit && compinit -D -u; eval "$(ddlab completion zsh)"'
zpty -w shell 'show() { print -r -- SE""EN"<$BUFFER>"; zle kill-whole-line }; zle -N show; bindkey "^X" show; print REA""DY'
zpty -r shell seen '*READY*'
zpty -w -n shell "$1"$'\\t\\x18'
zpty -r shell seen '*SEEN<*>*'
zpty -d shell
print -r -- "${${seen##*SEEN<}%%>*}"
""",
    "fish": """\
ddlab completion fish | source
complete -C $argv[1]
""",
}
COMPLETED = {
    "bash": {"ver": "verify", "sweep tiny model.wi": "model.width=", "sweep tiny optimizer=ad": "adam\nadamw"},
    "zsh": {
        "ver": "ddlab verify ",
        "sweep tiny model.wi": "ddlab sweep tiny model.width=",
        "sweep tiny optimizer=ad": "ddlab sweep tiny optimizer=adam",
        "sweep sweeps/ti": "ddlab sweep sweeps/tiny.yaml ",
    },
    "fish": {
        "ver": "verify",
        "sweep tiny model.wi": "model.width=",
        "sweep tiny optimizer=ad": "optimizer=adam\noptimizer=adamw",
        "sweep sweeps/ti": "sweeps/tiny.yaml",
    },
}


@pytest.mark.parametrize("shell", PRESS_TAB)
def test_completion_works_in_the_shell_itself(tiny, shell):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    (tiny / "bin").mkdir()
    (tiny / "bin/ddlab").write_text(f'#!/bin/sh\nexec {sys.executable} -m ddlab.cli "$@"\n')
    (tiny / "bin/ddlab").chmod(0o755)
    (tiny / "press_tab").write_text(PRESS_TAB[shell])
    environment = {**os.environ, "PATH": f"{tiny / 'bin'}:{os.environ['PATH']}", "HOME": str(tiny), "TERM": "dumb"}
    options = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    for typed, expected in COMPLETED[shell].items():
        words = [shell, *options, "press_tab", f"ddlab {typed}"]
        done = subprocess.run(words, capture_output=True, text=True, env=environment, check=True, timeout=120)
        assert done.stdout.rstrip("\n") == expected, done.stderr
