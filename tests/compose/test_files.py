"""Files that a sweep's config is composed of: what Hydra cannot bear is one line that names the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddlab.cli import main
from ddlab.compose.files import read_checked
from ddlab.errors import ConfigError

HEAD = "defaults: [ddlab, _self_]\n"
BOMB = "a0: &a0 [1,1,1,1,1,1,1,1,1]\n" + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9))

BROKEN = {
    "defaults that are a number": ("defaults: 5", "mine.yaml: defaults=5: must be a list"),
    "defaults that are a mapping": ("defaults: {data: mnist1d}", "mine.yaml: defaults={'data': 'mnist1d'}: must be a list"),
    "a default that is a number": ("defaults: [5]", "mine.yaml: defaults: 5: must be a name"),
    "two groups at once": ("defaults: [{data: mnist1d, model: mlp}]", "mine.yaml: defaults: {'data': 'mnist1d', 'model': 'mlp'}"),
    "a group of no name": ("defaults: [{5: mlp}]", "mine.yaml: defaults: {5: 'mlp'}"),
    "itself": ("defaults: [mine]", "mine.yaml: its defaults name the file itself"),
    "itself among others": ("defaults: [ddlab, mine, _self_]", "mine.yaml: its defaults name the file itself"),
    "itself by another": ("defaults: [ddlab, back, _self_]", "mine.yaml: its defaults name the file itself, through"),
    "an option that names itself": ("defaults: [ddlab, override model: loop, _self_]", "model/loop.yaml: its defaults name"),
    "a hostile option": (
        "defaults: [ddlab, override /model: nested, _self_]",
        "model/bomb.yaml: not valid YAML: line 6: aliases",
    ),
    "a hostile option on an axis": (f"{HEAD}axes: {{model: 'mlp,bomb'}}", "model/bomb.yaml: not valid YAML"),
    "brackets": (f"{HEAD}x: {'[' * 2000}", "mine.yaml: not valid YAML: line 2: lists and mappings lie more than 50 deep"),
    "a list in itself": (f"{HEAD}x: &a [*a]", "mine.yaml: not valid YAML: line 2: *a stands within what it names"),
    "an alias bomb": (HEAD + BOMB, "mine.yaml: not valid YAML: line 7: aliases repeat"),
    "many digits": (f"{HEAD}seed: {'9' * 5000}", "mine.yaml: not valid YAML: line 2: a number of 5,000 digits"),
    "an endless list": (
        f"{HEAD}axes: {{seed: {list(range(6000))}}}",
        "mine.yaml: axes.seed: a list of 6,000 values; at most 5,000: write range(...)",
    ),
    "a foreign launcher": (f"{HEAD}hydra: {{launcher: {{_target_: os.system}}}}", "hydra.launcher: must be"),
    "no launcher": (f"{HEAD}hydra: {{launcher: null}}", "hydra.launcher: must be"),
    "a foreign sweeper": (f"{HEAD}hydra: {{sweeper: {{_target_: os.system}}}}", "hydra.sweeper: must be"),
    "another directory": (f"{HEAD}hydra: {{job: {{chdir: true}}}}", "hydra.job.chdir=true: must be false"),
}


@pytest.fixture
def options(workplace):
    """Options of a user's own that cannot be composed."""
    directory = workplace / "configs/model"
    directory.mkdir(parents=True)
    (directory / "loop.yaml").write_text("defaults: [loop]")
    (directory / "nested.yaml").write_text("defaults: [mlp, bomb]")
    (directory / "bomb.yaml").write_text(BOMB)
    (workplace / "back.yaml").write_text("defaults: [mine]")


@pytest.mark.parametrize("case", BROKEN)
def test_a_file_that_cannot_be_composed_is_one_line(options, capfd, case):
    text, expected = BROKEN[case]
    Path("mine.yaml").write_text(text)
    assert main(["plan", "mine.yaml"]) == 2
    printed = capfd.readouterr().err
    assert expected in printed
    assert printed.startswith("ddlab: ")
    assert printed.count("\n") == 1


@pytest.mark.parametrize("choice", ["model=bomb", "model=mlp,nested", "model=glob(*)", "model=choice(mlp, bomb)"])
def test_options_that_the_command_line_chooses_are_checked_too(options, choice):
    Path("mine.yaml").write_text(HEAD)
    with pytest.raises(ConfigError, match=r"bomb\.yaml: not valid YAML|loop\.yaml: its defaults"):
        read_checked(Path("mine.yaml").resolve(), [choice])


def test_defaults_of_every_form_pass(options):
    Path("mine.yaml").write_text(
        "\ufeffdefaults:\n  - ddlab\n  - override /model@model: mlp\n  - optional data: null\n  - _self_\n"
    )
    assert read_checked(Path("mine.yaml").resolve(), ["model=mlp", "seed=range(5)"]).keys() == {"defaults"}


def test_list_leaves_out_hostile_sweeps(workplace, capsys):
    Path("sweeps").mkdir()
    Path("sweeps/bomb.yaml").write_text(HEAD + BOMB)
    Path("sweeps/deep.yaml").write_text("[" * 2000)
    assert main(["list"]) == 0
    printed = capsys.readouterr()
    assert "quickstart" in printed.out
    assert printed.err.count("not a sweep") == 2
