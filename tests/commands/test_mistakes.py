"""A mistake on the command line or in a sweep's file is one clear line, and nothing is stored."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ddlab.cli import main
from tests.support import TINY, write_sweep

pytestmark = pytest.mark.usefixtures("fast_packs")

MISTAKES = {
    "unknown key": (["sweep", "tiny", "model.widht=4"], ["model.widht", "did you mean 'model.width'"]),
    "unknown axis": (["sweep", "tiny", "model.widht=4,5"], ["model.widht", "did you mean 'model.width'"]),
    "unknown sweep": (["sweep", "tinny"], ["tinny", "did you mean 'tiny'"]),
    "no such file": (["sweep", "nothere.yaml"], ["nothere.yaml"]),
    "many digits": (["sweep", "tiny", f"seed={'9' * 5000}"], ["seed=999", "more than 1,000 digits"]),
    "many brackets": (["sweep", "tiny", f"model.width={'[' * 2000}{']' * 2000}"], ["model.width=[[[", "more than 50 deep"]),
    "another ending": (["sweep", "tiny.yml"], ["tiny.yml", ".yaml"]),
    "unknown option": (["sweep", "tiny", "model=mpl"], ["model=mpl", "did you mean 'mlp'"]),
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


def files(directory="results"):
    """Return the content of every file in a directory."""
    return {path: path.read_bytes() for path in Path(directory).rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """The stored results of a sweep."""
    directory = tmp_path_factory.mktemp("stored")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(directory)
        write_sweep(directory, "tiny", TINY)
        assert main(["sweep", "tiny", "model.width=3", "seed=0", "train.steps=2"]) == 0
    return directory / "results"


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gives_one_clear_line_and_exit_status_2(tiny, stored, capfd, mistake):
    """What is stored stays as it is; that nothing is begun where nothing is stored, `refusal` asks in many tests."""
    words, expected = MISTAKES[mistake]
    if words[0] == "sweep":
        shutil.copytree(stored, "results")
    before = files()
    assert main(words) == 2
    captured = capfd.readouterr()
    assert captured.err.startswith("ddlab: ")
    assert captured.err.count("\n") == 1, captured.err
    for text in expected:
        assert text in captured.err
    assert files() == before


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
