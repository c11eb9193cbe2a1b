"""A second round, which refines an axis: what it adds, and that it is the same wherever the sweep was killed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

import ddlab
from ddlab.cli import main
from ddlab.commands import rounds
from ddlab.errors import Interrupted
from ddlab.store.store import Store
from tests.support import command, curves, interrupt_after, write_sweep

AXES = {"data.num_train": "20,40,80,160", "model.width": "5,8", "seed": "range(3)"}
REFINED = """\
defaults: [ddlab, _self_]
axes: {axes}
refine: {{x: data.num_train, metric: train_error, at_most: 0.3, points: 2, interval: 0.02}}
data: {{num_test: 50, label_noise: 0.2}}
train: {{steps: 800, batch_size: 20, num_evals: 5}}
measures: {{gradient_norm: null}}
""".format(axes="{" + ", ".join(f'{key}: "{values}"' for key, values in AXES.items()) + "}")

WORDS = ["sweep", "refined", "pack.cpu_devices=2"]
RESULTS = Path("results/refined")

pytestmark = pytest.mark.usefixtures("fast_packs")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A directory in which nothing stopped the sweep."""
    directory = tmp_path_factory.mktemp("whole")
    write_sweep(directory, "refined", REFINED)
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(directory)
        assert main(WORDS) == 0
    return directory


@pytest.fixture
def place(workplace):
    """An empty working directory that knows the sweep."""
    write_sweep(workplace, "refined", REFINED)
    return workplace


@pytest.fixture
def done(whole, place):
    """A working directory in which the sweep is done."""
    shutil.copytree(whole / "results", place / "results")
    return place


def added():
    """Return the numbers of examples that are no values of the axis, for each width."""
    trials = ddlab.load(RESULTS).trials
    new = trials[~trials["data.num_train"].isin([20, 40, 80, 160])]
    return {width: sorted(set(rows["data.num_train"])) for width, rows in new.groupby("model.width")}


def check_whole(whole):
    trials = ddlab.load(RESULTS).trials
    assert trials["trial_id"].is_unique
    assert set(trials["status"]) == {"completed"}
    pd.testing.assert_frame_equal(curves(RESULTS), curves(whole / RESULTS), check_exact=True)


def files():
    return {path: path.read_bytes() for path in sorted(RESULTS.glob("*/**/*.parquet"))}


def test_each_setting_gets_values_beside_its_crossing_for_all_seeds(done):
    new = added()
    assert set(new) == {5, 8}
    trials = ddlab.load(RESULTS).trials
    for width, values in new.items():
        assert len(values) == 2
        rows = trials[(trials["model.width"] == width) & trials["data.num_train"].isin(values)]
        assert len(rows) == 2 * 3
    final = curves(RESULTS).query("step == 800").merge(trials, on="trial_id")
    for width, errors in final.groupby("model.width"):
        means = errors.groupby("data.num_train")["train_error"].mean().drop(new[width])
        assert means.index[means <= 0.3].max() < min(new[width])
        assert max(new[width]) < means.index[means > 0.3].min()


def test_the_same_command_again_adds_nothing(done, capsys):
    before = files()
    assert main(WORDS) == 0
    said = capsys.readouterr()
    assert "24 of 24 trials are stored already" in said.err
    assert "12 of 12 trials of the refinement are stored already" in said.err
    assert "adds" not in said.err
    assert "36 trials (36 completed)" in said.out
    assert files() == before


def test_what_it_adds_are_the_trials_of_the_same_values_on_the_command_line(done, capsys):
    values = added()[5]
    capsys.readouterr()
    assert main([*WORDS, "model.width=5", f"data.num_train={','.join(map(str, values))}", "refine.points=0"]) == 0
    assert "6 of 6 trials are stored already" in capsys.readouterr().err


def test_a_sweep_killed_between_the_rounds_goes_on_with_the_same_second_one(place, whole, monkeypatch, capsys):
    def killed(*_):
        raise Interrupted("killed")

    with monkeypatch.context() as patched:
        patched.setattr(rounds, "PROPOSALS", (killed,))
        assert main(WORDS) == 130
    assert added() == {}
    capsys.readouterr()
    assert main(["status", "refined"]) == 0
    assert "whether a second round follows is not known yet\ngo on with: ddlab sweep refined" in capsys.readouterr().out
    assert main(WORDS) == 0
    said = capsys.readouterr().err
    assert "a second round, where the training examples N at which train error crosses 0.3 is not known within 2 %\n" in said
    assert [line.split(";")[1] for line in said.splitlines() if line.startswith("  width ")] == [
        f" adds {', '.join(map(str, values))}" for values in added().values()
    ]
    check_whole(whole)
    assert main(["status", "refined"]) == 0
    assert "go on with" not in capsys.readouterr().out


def test_a_sweep_stopped_within_the_second_round_goes_on_with_it(place, whole, monkeypatch):
    with monkeypatch.context() as patched:
        told = interrupt_after(patched, 5 + 3)  # five eval points of the first round's only pack, and three
        assert main(WORDS) == 130
    assert told[5:] == [0, *told[6:]]
    assert set(ddlab.load(RESULTS).trials["status"]) == {"completed", "pending"}
    assert main(WORDS) == 0
    check_whole(whole)


@pytest.mark.filterwarnings("default::ddlab.files.DamagedPart")
@pytest.mark.parametrize("name", ["sweep.yaml", "plan.parquet"])
def test_the_same_command_makes_again_what_was_lost(done, whole, name):
    (RESULTS / name).unlink()
    before = files()
    assert main(WORDS) == 0
    check_whole(whole)
    assert {path: content for path, content in files().items() if "plan" not in path.name} == before


def test_a_setting_that_is_known_well_enough_gets_none(place, capsys):
    """At width 5 the interval is 15 % of the crossing, at width 8 it is 8 %."""
    assert main([*WORDS, "refine.interval=0.1"]) == 0
    assert set(added()) == {5}
    assert "width 8" not in capsys.readouterr().err


def test_a_level_that_is_crossed_nowhere_adds_nothing(place, capsys):
    assert main([*WORDS, "refine.at_most=1"]) == 0
    assert added() == {}
    assert "second round" not in capsys.readouterr().err
    assert main(["status", "refined"]) == 0
    assert "go on with" not in capsys.readouterr().out


def test_a_pinned_axis_is_not_refined(place):
    assert main([*WORDS, "data.num_train=40", "model.width=5", "seed=0"]) == 0
    assert len(ddlab.load(RESULTS).trials) == 1


def test_more_seeds_join_a_refined_sweep(done):
    before = {width: set(values) for width, values in added().items()}
    assert main([*WORDS, "seed=range(5)"]) == 0
    trials = ddlab.load(RESULTS).trials
    assert set(trials["status"]) == {"completed"}
    assert trials["trial_id"].is_unique
    for width, values in added().items():
        assert before[width] <= set(values)
    num_trials = len(trials)
    assert main([*WORDS, "seed=range(5)"]) == 0
    assert len(ddlab.load(RESULTS).trials) == num_trials


def test_another_refinement_keeps_what_is_stored(done):
    stored = set(ddlab.load(RESULTS).trials["trial_id"])
    assert main([*WORDS, "refine.at_most=0.5"]) == 0
    trials = ddlab.load(RESULTS).trials
    assert stored < set(trials["trial_id"])
    assert set(trials["status"]) == {"completed"}


def test_plan_says_how_many_trials_may_follow(place, capsys):
    assert main(["plan", "refined"]) == 0
    printed = capsys.readouterr().out
    assert "24 trials" in printed
    assert "refine: a second round of at most 12 trials may follow, where the training examples N at which" in printed
    assert main(["plan", "refined", "data.num_train=40"]) == 0
    assert "second round" not in capsys.readouterr().out


@pytest.mark.slow
def test_another_launcher_takes_each_round(place):
    words = ["sweep", "refined", "pack.cpu_devices=1"]
    command(*words, "hydra/launcher=joblib", cwd=place)
    assert set(added()) == {5, 8}
    assert set(ddlab.load(RESULTS).trials["status"]) == {"completed"}
    assert not Store(RESULTS).read_sweep()["more_rounds"]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("refine.x=data.num_trian", "did you mean 'data.num_train'"),
        ("refine.x=data.label_noise data.label_noise=0.0,0.2", "must be an axis of whole numbers greater than 0"),
        ("refine.x=seed", "must be an axis of whole numbers greater than 0, and no seed"),
        ("refine.metric=train_eror", "refine.metric=train_eror: no such metric. did you mean 'train_error'"),
        ("refine.at_most=null", "refine: needs a level of train_error"),
        ("+refine.at_least=1", "at_most and at_least of train_error"),
        ("refine.points=-1", "refine.points=-1: must be at least 0"),
        ("+refine.point=1", "did you mean 'points'"),
        ("~refine.x", "there is no x"),
    ],
)
def test_a_mistake_is_found_before_anything_is_trained(place, capsys, word, said):
    assert main([*WORDS, *word.split()]) == 2
    printed = capsys.readouterr().err
    assert said in printed
    assert printed.count("\n") == 1
    assert not RESULTS.exists()
