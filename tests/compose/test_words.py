"""Components that are chosen by a word: alone, as an axis, and with what lies below them set."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

import ddlab
from ddlab.cli import main
from ddlab.compose.hydra import version_base
from ddlab.compose.schema import register
from ddlab.compose.words import compose_words
from ddlab.config import catalog
from ddlab.errors import ConfigError
from tests.support import leaves_of, refusal, trials_of

pytestmark = pytest.mark.usefixtures("fast_packs")

DECAY = "optimizer.schedule.decay_steps"


def test_a_word_is_the_option_of_its_group():
    assert leaves_of()["train.loss._target_"] == "ddlab.losses.CrossEntropy"
    assert leaves_of("train.loss=mse")["train.loss._target_"] == "ddlab.losses.MSE"
    assert leaves_of("train.loss={_target_:ddlab.losses.MSE}") == leaves_of("train.loss=mse")


@pytest.mark.parametrize("prefix", ["", "+", "++"])
def test_what_lies_below_a_word_can_be_set(prefix):
    assert leaves_of("optimizer.schedule=inverse_sqrt")[DECAY] == 512
    assert leaves_of(f"{prefix}{DECAY}=7", "optimizer.schedule=inverse_sqrt")[DECAY] == 7


NOTHING = ("train.teacher", "train.augment", "start.values", "start.mask")


def test_a_component_that_is_named_by_its_class_has_no_word():
    """`train.loss` tells trials apart where it has one; `train.augment` and what a trial starts from have none."""
    register()
    with initialize_config_dir(str(catalog.shipped("configs")), **version_base()):
        words = ["train.loss={_target_:ddlab.losses.MSE}", "optimizer.schedule._target_=ddlab.optimizers.Cosine"]
        assert compose_words(partial(compose, "ddlab"), ["train.loss=mse"]).words["train.loss"] == "mse"
        assert compose_words(partial(compose, "ddlab"), words).words == dict.fromkeys(NOTHING, "none")


def test_what_lies_below_another_word_is_refused():
    with pytest.raises(ConfigError, match=rf"unknown key '{DECAY}' of Cosine\. \(if"):
        leaves_of("optimizer.schedule=cosine", f"{DECAY}=7")


def test_words_and_what_lies_below_them_are_axes():
    trials = trials_of("optimizer.schedule=constant,inverse_sqrt", "train.loss=mse,cross_entropy")
    chosen = {(trial["optimizer.schedule._target_"], trial["train.loss._target_"]) for trial in trials}
    assert len(chosen) == len(trials) == 4
    assert {trial[DECAY] for trial in trials_of("optimizer.schedule=inverse_sqrt", f"{DECAY}=8,16")} == {8, 16}


def test_a_users_option_is_a_word(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs" / "schedule").mkdir(parents=True)
    (tmp_path / "configs" / "schedule" / "slow.yaml").write_text("_target_: ddlab.optimizers.InverseSqrt\ndecay_steps: 3\n")
    (tmp_path / "configs" / "schedule" / "empty.yaml").write_text("decay_steps: 3\n")
    assert leaves_of("optimizer.schedule=slow")[DECAY] == 3
    with pytest.raises(ConfigError, match=r"empty\.yaml: must be a component, a mapping with _target_"):
        leaves_of("optimizer.schedule=empty")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("optimizer.schedule=cosin", "optimizer.schedule=cosin: no such option. did you mean 'cosine'?"),
        ("train.loss=mse,mes", "train.loss=mes: no such option. did you mean 'mse'?"),
        ("train.loss=null", "train.loss=null: must be one of cross_entropy, hinge, mse, or a component, a mapping with _target_"),
        ("optimizer.schedule={_target_:ddlab.losses.MSE}", "must be a subclass of ddlab.optimizers.Schedule"),
        ("optimizer.schedule.decay_steps=3", "unknown key 'optimizer.schedule.decay_steps' of Constant"),
        ("schedule=cosine", "unknown key 'schedule'. did you mean 'optimizer.schedule'?"),
        ("+optimizer.modifiers.x.decay=3", "optimizer.modifiers.x={'decay': 3}: must be a component"),
        ("+optimizer.groups.x.patern=a", "unknown key 'optimizer.groups.x.patern' of Group. did you mean 'pattern'?"),
    ],
)
def test_a_mistake_is_one_line(small, capfd, word, expected):
    assert expected in refusal(capfd, [small, word])


def test_results_name_the_words(small, capsys):
    """On the command line what lies below a word is set in a real sweep, too."""
    words = ("model.width=3", "seed=0", "optimizer.schedule=constant,inverse_sqrt", "train.loss=mse", "train.steps=4")
    assert main(["sweep", small, *words]) == 0
    trials = ddlab.load(next(Path("results").iterdir())).trials
    assert sorted(trials["optimizer.schedule"]) == ["constant", "inverse_sqrt"]
    assert set(trials["train.loss"]) == {"mse"}
    assert main(["plan", small, "optimizer.schedule=inverse_sqrt", f"{DECAY}=3"]) == 0
    assert main(["plan", small, "optimizer.schedule=inverse_sqrt", f"{DECAY}=3,4"]) == 0


def test_nothing_is_a_value_of_an_axis_of_words():
    trials = trials_of("train.augment=null,shift", "optimizer.schedule=constant,cosine")
    assert [trial.get("train.augment._target_") for trial in trials].count(None) == 2
    assert len(trials) == 4


def test_a_component_that_has_a_name_may_be_a_word_too():
    sam = "optimizer.modifiers.sam"
    for nothing in ("none", "null"):
        assert [trial.get(f"{sam}.radius") for trial in trials_of(f"+{sam}={nothing},sam")] == [None, 0.05]
    assert [trial[f"{sam}.radius"] for trial in trials_of(f"+{sam}=sam", f"{sam}.radius=0.1,0.2")] == [0.1, 0.2]
