"""The command line: help, names, overrides, mistakes, completion."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import MissingConfigException

import ddlab as package
from ddlab.cli import main
from ddlab.commands import COMMANDS, help_of, launch
from ddlab.commands import hydra as application
from ddlab.compose.explain import explain
from ddlab.compose.hydra import quoted, unquoted, version_base
from ddlab.config import catalog
from tests.support import ddlab
from tests.test_sweep_command import TINY


def raising(error):
    def fail(*_):
        raise error

    return fail


@pytest.fixture
def tiny(workplace):
    (workplace / "sweeps").mkdir()
    (workplace / "sweeps" / "tiny.yaml").write_text(TINY)
    return "tiny"


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


def test_list_names_every_sweep(capsys, workplace):
    assert main(["list"]) == 0
    printed = capsys.readouterr().out
    for name in catalog.sweep_files():
        assert name in printed


def test_plan_prints_packs_and_trains_nothing(capsys, workplace):
    assert main(["plan", "mnist1d_width"]) == 0
    printed = capsys.readouterr().out
    assert "60 trials" in printed
    assert not Path("results").exists()


def test_a_pinned_scalar_replaces_an_axis_and_a_list_makes_one(tiny, capsys):
    main(["plan", tiny, "model.width=4", "optimizer.learning_rate=0.1,0.2", "seed=range(5)"])
    assert "10 trials" in capsys.readouterr().out
    main(["plan", tiny, "model.width=choice(2,3)", "optimizer=glob(adam*)", "seed=0"])
    assert "4 trials" in capsys.readouterr().out
    main(["plan", tiny, "optimizer=sgd", "measures=none", "+measures.w._target_=ddlab.measures.WeightNorm"])
    assert "6 trials" in capsys.readouterr().out
    main(["plan", tiny, "model.width=4", "model.num_params=500,5000", "seed=0"])
    assert "2 trials" in capsys.readouterr().out


def test_a_users_own_configs_and_sweeps_are_found(tiny, capsys):
    Path("configs/model").mkdir(parents=True)
    Path("configs/model/mine.yaml").write_text("defaults: [mlp]\ndepth: 3\n")
    assert main(["plan", tiny, "model=mine", "model.width=4", "seed=0"]) == 0
    assert f"{41 * 4 + 2 * 20 + 50}" in capsys.readouterr().out


def test_interpolations_are_resolved_for_every_trial(tiny):
    with open("sweeps/tiny.yaml", "a") as file:
        file.write("optimizer: {learning_rate: '${seed}'}\n")
    assert main(["sweep", tiny, "seed=1,2", "model.width=3", "train.steps=2"]) == 0
    trials = package.load("results/tiny").trials
    assert trials["optimizer.learning_rate"].tolist() == [1.0, 2.0]


def test_hydras_own_flags_work(tiny):
    printed = ddlab("sweep", tiny, "--cfg", "job", cwd=Path.cwd()).stdout
    assert "num_train: 200" in printed
    assert not Path("results").exists()


@pytest.mark.parametrize(("version", "keyword"), [("1.3.8", {"version_base": "1.3"}), ("1.4.0rc3", {}), ("1.10.0", {})])
def test_hydra_is_told_the_version_of_its_behaviour_where_that_is_not_deprecated(version, keyword):
    assert version_base(version) == keyword


MISTAKES = {
    "unknown key": (["sweep", "tiny", "model.widht=4"], ["model.widht", "did you mean 'model.width'"]),
    "unknown axis": (["sweep", "tiny", "model.widht=4,5"], ["model.widht", "did you mean 'model.width'"]),
    "unknown sweep": (["sweep", "tinny"], ["tinny", "did you mean 'tiny'"]),
    "no such file": (["sweep", "nothere.yaml"], ["nothere.yaml"]),
    "many digits": (["sweep", "tiny", f"seed={'9' * 5000}"], ["seed=999", "more than 1,000 digits"]),
    "many brackets": (["sweep", "tiny", f"model.width={'[' * 2000}{']' * 2000}"], ["model.width=[[[", "more than 50 deep"]),
    "another ending": (["sweep", "tiny.yml"], ["tiny.yml", ".yaml"]),
    "unknown option": (["sweep", "tiny", "model=mpl"], ["model=mpl", "did you mean 'mlp'", "quadratic_mlp"]),
    "unknown option of an axis": (["sweep", "tiny", "optimizer=adam,adan"], ["optimizer=adan", "did you mean 'adam'"]),
    "negative width": (["sweep", "tiny", "model.width=-4"], ["model.width=-4", "at least 1"]),
    "negative width in an axis": (["sweep", "tiny", "model.width=4,-4"], ["model.width=-4", "at least 1"]),
    "p = 1": (["sweep", "modular_addition_fraction", "data.modulus=1"], ["data.modulus=1", "at least 2"]),
    "fraction above 1": (
        ["sweep", "modular_addition_fraction", "data.train_fraction=1.5"],
        ["data.train_fraction=1.5", "at most 1"],
    ),
    "no test data": (["sweep", "modular_addition_fraction", "data.train_fraction=1"], ["data.train_fraction=1", "0 test"]),
    "not a number": (["sweep", "tiny", "model.width=wide"], ["model.width=wide", "Integer"]),
    "not a number in an axis": (["sweep", "tiny", "model.width=4,wide"], ["model.width=wide", "Integer"]),
    "not a number in train": (["sweep", "tiny", "train.steps=many"], ["train.steps=many", "Integer"]),
    "not a number in pack": (["sweep", "tiny", "pack.max_trials=all"], ["pack.max_trials=all", "Integer"]),
    "max_trials 0": (["sweep", "tiny", "pack.max_trials=0"], ["pack.max_trials=0", "at least 1"]),
    "interval": (["sweep", "tiny", "model.width=interval(1,5)"], ["model.width=interval(1,5)", "range()"]),
    "unwritable out": (["sweep", "tiny", "out=/dev/null/x"], ["/dev/null/x"]),
    "out is a file": (["sweep", "tiny", "out=sweeps/tiny.yaml"], ["sweeps/tiny.yaml"]),
    "unbalanced": (["sweep", "tiny", "model.width=[1,"], ["model.width=[1,"]),
    "batch beyond data": (["sweep", "tiny", "train.batch_size=1000"], ["train.batch_size=1000", "200 training examples"]),
    "no option of a group": (["sweep", "tiny", "model=null"], ["model=null", "config group"]),
    "seed of letters": (["sweep", "tiny", "seed=a,b"], ["seed=a", "Integer"]),
    "range without end": (["sweep", "tiny", "seed=range(1,5,0)"], ["seed=range(1,5,0)"]),
    "absurd width": (["sweep", "tiny", "model.width=100000000000"], ["model.width=100000000000", "at most 1000000"]),
    "infinite": (["sweep", "tiny", "optimizer.learning_rate=inf"], ["optimizer.learning_rate=inf", "finite"]),
    "no component": (["sweep", "tiny", "model._target_=os.path.join"], ["model._target_=os.path.join", "dataclass"]),
    "unknown flag": (["sweep", "tiny", "--foo"], ["--foo", "--cfg"]),
    "bad figure": (["sweep", "tiny", "figures.curve.recipe=foo"], ["figures.curve.recipe=foo", "double_descent"]),
    "empty out": (["sweep", "tiny", "out="], ["out="]),
    "foreign out": (["sweep", "tiny", "out=sweeps"], ["out=sweeps", "no stored sweep"]),
    "out with a null": (["sweep", "tiny", "out=a\0b"], [r"out='a\x00b'", "printable"]),
    "nobody's home": (["sweep", "tiny", "out=~nobody-here/x"], ["out=~nobody-here/x", "nobody's home"]),
    "out of no name": (["sweep", "tiny", "out=''"], ["out=", "names no directory"]),
    "a foreign launcher": (["sweep", "tiny", "hydra.launcher._target_=os.system"], ["hydra.launcher", "os.system"]),
    "jobs elsewhere": (["sweep", "tiny", "hydra.job.chdir=true"], ["hydra.job.chdir=true", "must be false"]),
    "Ray": (["sweep", "tiny", "hydra/launcher=ray"], ["hydra/launcher=ray", "not supported yet", "joblib"]),
    "an unknown launcher": (["sweep", "tiny", "hydra/launcher=jobli"], ["hydra/launcher=jobli", "did you mean 'joblib'"]),
    "a plain word": (["sweep", "tiny", "fast"], ["fast"]),
    "axis of no science": (["sweep", "tiny", "pack.memory_gib=1,2"], ["pack.memory_gib", "can be swept"]),
    "unknown target": (["sweep", "tiny", "+measures.x._target_=no.such"], ["measures.x._target_=no.such"]),
    "unknown command": (["swep"], ["swep", "did you mean 'sweep'"]),
    "no name": (["sweep"], ["needs a sweep's name", "quickstart"]),
    "report of nothing": (["report", "tiny"], ["tiny", "results/tiny"]),
    "status of nothing": (["status", "tiny"], ["tiny", "results/tiny"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gives_one_clear_line_and_exit_status_2(tiny, capfd, mistake):
    words, expected = MISTAKES[mistake]
    assert main(words) == 2
    captured = capfd.readouterr()
    assert captured.err.startswith("ddlab: ")
    assert captured.err.count("\n") == 1, captured.err
    for text in expected:
        assert text in captured.err
    assert not Path("results").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "defaults: [ddlab"),
        ("[1, 2]", "defaults: [ddlab"),
        ("a: [1", "not valid YAML"),
        ("defaults: [ddlab, _self_]\naxis: {}", "did you mean 'axes'"),
        ("defaults: [ddlab, _self_]\ntrain: {stepz: 3}", "did you mean 'steps'"),
        ("defaults: [ddlab, _self_]\ndata: {num_trian: 3}", "did you mean 'num_train'"),
        ("defaults: [ddlab, _self_]\naxes: {model.widht: '1,2'}", "did you mean 'model.width'"),
        ("defaults: [ddlab, _self_]\nfigures: {../../evil: {recipe: heatmap}}", "figures.../../evil"),
    ],
)
def test_mistakes_in_a_sweep_file_give_one_line(workplace, capfd, text, expected):
    Path("mine.yaml").write_text(text)
    assert main(["sweep", "mine.yaml"]) == 2
    printed = capfd.readouterr().err
    assert printed.count("\n") == 1
    assert expected in printed
    assert not Path("results").exists()


def test_list_leaves_out_what_is_no_sweep(workplace, capsys):
    Path("sweeps").mkdir()
    for name, text in (("broken", "a: [1"), ("empty", ""), ("good", "paper: P\nshows: S")):
        Path(f"sweeps/{name}.yaml").write_text(text)
    assert main(["list"]) == 0
    printed = capsys.readouterr()
    assert "good" in printed.out
    assert "broken.yaml: not a sweep" in printed.err


def test_the_last_of_two_overrides_of_a_key_counts(tiny, capsys):
    main(["plan", tiny, "seed=1,2", "seed=3"])
    assert "3 trials" in capsys.readouterr().out
    main(["plan", tiny, "seed=3", "seed=1,2"])
    assert "6 trials" in capsys.readouterr().out


def test_out_may_hold_any_characters(tiny):
    assert main(["sweep", tiny, "seed=0", "model.width=3", "train.steps=2", "out=a=b, c's"]) == 0
    assert len(package.load("a=b, c's").trials) == 1


BACKSLASHES = ["a\\b", "a\\\\b", "a\\", "a\\\\", "a\\'b", "\\'", "'", "a'b\\\\'", '"', '\\"', "a b", ""]


@pytest.mark.parametrize("text", BACKSLASHES)
def test_hydra_reads_a_quoted_text_as_it_was(text):
    assert OverridesParser.create().parse_override(f"x={quoted(text)}").value() == text
    assert unquoted(quoted(text)) == text


@pytest.mark.parametrize("text", ["a=b, c's", "dogs'", "'a' or 'b'", "'a','b'", "'a", "a\\b", "'a\\'"])
def test_text_that_is_not_quoted_as_a_whole_is_left_as_it_is(text):
    assert unquoted(text) == text


def test_out_may_hold_backslashes_and_quotes(tiny):
    words = ["sweep", tiny, "seed=0", "model.width=3", "train.steps=2"]
    for number, out in enumerate(("a\\b", "dogs'", "'it\\'s'")):
        assert main([*words, f"out={out}"]) == 0
        assert len([path for path in Path().iterdir() if (path / "sweep.yaml").exists()]) == number + 1
        assert main(["status", unquoted(out)]) == 0
    assert {"a\\b", "dogs'", "it's"} <= {path.name for path in Path().iterdir()}


@pytest.mark.parametrize(("launcher", "extra"), [("joblib", "joblib"), ("submitit_slurm", "slurm"), ("submitit_local", "slurm")])
def test_a_launcher_that_is_not_installed_says_which_extra_installs_it(launcher, extra):
    missing = MissingConfigException("", missing_cfg_file=f"hydra/launcher/{launcher}", options=["basic"])
    line = explain(missing, Path("tiny.yaml"), [])
    assert line == f"hydra/launcher={launcher}: is not installed; pip install 'ddlab[{extra}]' does it"


def test_out_may_lie_in_the_home_directory(tiny, workplace, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(workplace / "home"))
    assert main(["sweep", tiny, "seed=0", "model.width=3", "train.steps=2", "out=~/x"]) == 0
    assert len(package.load("home/x").trials) == 1
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


@pytest.mark.parametrize("place", ["Invalid plugin 'os.path': not the hydra_plugins package", "Unknown plugin class : 'x'"])
def test_a_foreign_sweeper_is_a_mistake(tiny, monkeypatch, capfd, place):
    monkeypatch.setattr(application, "_run_hydra", raising(RuntimeError(place)))
    assert main(["sweep", tiny]) == 2
    assert capfd.readouterr().err == f"ddlab: hydra.sweeper: must be ddlab's own ({place})\n"


def test_an_error_of_jax_that_speaks_of_plugins_is_not_taken_for_one_of_the_sweeper(tiny, monkeypatch):
    error = RuntimeError("Unable to initialize backend 'cuda': (you may need to uninstall the failing plugin package)")
    monkeypatch.setattr(application, "_run_hydra", raising(error))
    with pytest.raises(RuntimeError, match="Unable to initialize"):
        main(["sweep", tiny])


def test_a_broken_pipe_of_a_job_is_no_success(tiny, monkeypatch, capfd):
    monkeypatch.setattr(launch, "run_pack", raising(BrokenPipeError(errno.EPIPE, "Broken pipe")))
    assert main(["sweep", tiny]) == 2
    assert capfd.readouterr().err.splitlines()[-1] == "ddlab: Broken pipe"


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_of_standard_output_may_go(unbuffered):
    code = "import sys, os; from ddlab.cli import main; sys.stdin.read(); os._exit(main(['list']))"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONUNBUFFERED": unbuffered}, **pipes)
    process.stdout.close()
    process.stdin.close()
    assert (process.stderr.read(), process.wait()) == (b"", 0)
    process.stderr.close()


def test_a_mistake_leaves_what_is_stored_untouched(tiny, capfd):
    main(["sweep", tiny, "model.width=3", "train.steps=2"])
    before = {path: path.read_bytes() for path in Path("results").rglob("*") if path.is_file()}
    for words, _ in MISTAKES.values():
        if words[0] == "sweep":
            assert main(words) == 2
    assert {path: path.read_bytes() for path in Path("results").rglob("*") if path.is_file()} == before


def test_status_shows_what_is_done(tiny, capsys):
    main(["sweep", tiny, "seed=0", "train.steps=2"])
    capsys.readouterr()
    assert main(["status", tiny]) == 0
    assert "3 trials: 3 completed" in capsys.readouterr().out
