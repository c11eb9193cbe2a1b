"""Stages of a sweep: which trials start from which, and what is wrong with those that cannot."""

from __future__ import annotations

import pytest

from ddlab.cli import main
from ddlab.errors import ConfigError
from ddlab.plan.packs import pack_trials
from ddlab.run.settle import settle
from tests.support import PACKING, staged

AXES = """\
axes: {seed: range(2), model.width: "4,6"}
"""
STAGES = """\
  dense: {}
  ticket: {rounds: 3, first: dense, start: {mask: {cut: magnitude, of: previous, drop: 0.3}}}
  copied: {start: {draw: 1, mask: {copy: ticket}}}
  third: {round: 3, model.width: 6, start: {mask: {copy: ticket, shuffle: true}}}
"""


def family(trials):
    """Return (stage, point) -> the stages, rounds and steps of what a trial starts from."""
    return {
        (trial.shape.part.stage, *trial.point.values()): [
            (parent.trial.shape.part.stage, *parent.trial.point.values(), parent.step) for parent in trial.parents
        ]
        for trial in trials
    }


def test_a_trial_starts_from_those_that_agree_with_it_on_every_axis_both_have(workplace):
    found = family(staged(STAGES, AXES))
    assert len(found) == 4 + 12 + 12 + 2
    assert found["dense", 6, 1] == []
    assert found["ticket", 1, 6, 1] == [("dense", 6, 1, 5000)]
    assert found["ticket", 3, 6, 1] == [("ticket", 2, 6, 1, 5000)]
    assert found["copied", 2, 4, 0] == [("ticket", 2, 4, 0, 5000)]
    assert found["third", 3, 6, 0] == [("ticket", 3, 6, 0, 5000)]


def test_some_of_the_rounds_may_be_taken(workplace):
    found = family(staged(STAGES.replace("round: 3", "round: [1, 3]"), AXES))
    assert [key[1] for key in found if key[0] == "third"] == [1, 1, 3, 3]


def test_levels_are_packed_apart_and_have_room_for_as_many(workplace):
    trials = staged(STAGES.replace("model.width: 6, ", ""), "axes: {seed: range(2)}\n")
    packs = pack_trials(trials, PACKING)
    assert [(pack.level, len(pack.trials), pack.room) for pack in packs] == [
        (0, 2, 4),
        (1, 2, 4),
        (2, 4, 4),
        (3, 4, 4),
        (4, 4, 4),
    ]


def test_ids_hold_those_of_what_a_trial_starts_from(workplace):
    """Another learning rate of the dense network names every trial anew, also one that takes over no more than a mask."""
    two = [staged(STAGES.replace("dense: {}", f"dense: {{optimizer.learning_rate: {rate}}}"), AXES) for rate in (0.1, 0.2)]
    ids = [{trial.id for trial in trials} for trials in two]
    assert not ids[0] & ids[1]
    copied = [{trial.id for trial in staged(STAGES.replace("round: 3", f"round: {number}"), AXES)} for number in (2, 3)]
    assert len(copied[0] & copied[1]) == 4 + 12 + 12


def test_axes_of_a_start_tell_apart_what_starts_from_it(workplace):
    stages = """\
  dense: {}
  ticket: {start: {mask: {cut: magnitude, of: dense, drop: 0.5}}, axes: {start.mask.step: "100,300"}}
  swap: {data.noise_seed: 7, start: {mask: {copy: ticket}}}
"""
    found = family(staged(stages, "axes: {seed: range(2)}\n"))
    assert found["ticket", 1, 300] == [("dense", 1, 300)]
    assert found["swap", 300, 1] == [("ticket", 1, 300, 5000)]


def test_a_stage_takes_over_the_overrides_of_what_it_starts_from(workplace):
    stages = """\
  big: {model.width: 9, optimizer.learning_rate: 0.5}
  tuned: {start: {values: {trial: big, step: 7}}, optimizer.learning_rate: 0.1}
"""
    big, tuned = (trial.shape.leaves for trial in staged(stages, "axes: {seed: 0}\n"))
    assert (tuned["model.width"], tuned["optimizer.learning_rate"], tuned["start.values.step"]) == (9, 0.1, 7)
    assert big["start.values"] is None


B, A = "start: {mask: {copy: %s}}", "  a: {}\n"
GO_ON = "start: {values: {trial: a, step: 20}, optimizer: kept, go_on: true}"
MISTAKES = [
    (f"  a: {{{B % 'b'}}}\n  b: {{}}\n", r"stages\.a\.start\.mask\.of=b: must be a stage above it"),
    (
        f"  dense: {{}}\n  b: {{{B % 'dens'}}}\n",
        r"\.b\.start\.mask\.of=dens: must be a stage above it\. did you mean 'dense'",
    ),
    (f"{A}  b: {{{B % 'previous'}}}\n", r"start\.mask\.of=previous: is the trial of the round before; the stage has no rounds"),
    (f"{A}  b: {{rounds: 2}}\n", r"stages\.b: rounds and first go together"),
    (f"{A}  b: {{rounds: 0, first: a}}\n", r"stages\.b\.rounds=0: must be a whole number, at least 1"),
    (f"{A}  b: {{round: x}}\n", r"stages\.b\.round=x: must be a round, or a list of some"),
    (f"{A}  b: {{start: [a]}}\n", r"stages\.b\.start=\['a'\]: must be a mapping"),
    (f"{A}  b: {{rounds: 2, first: [a]}}\n", r"stages\.b\.first=\['a'\]: must be the name of a stage"),
    (f"{A}  b: {{{B % '[a]'}}}\n", r"stages\.b\.start\.mask\.of=\['a'\]: must be the name of a stage"),
    (f"{A}  b: {{{B % repr('')}}}\n", r"start\.mask\.of: must name a stage"),
    (f"{A}  b: {{out: here, {B % 'a'}}}\n", r"stages\.b: unknown key 'out'"),
    (f"{A}  b: {{train.steps: 20, {GO_ON}}}\n", r"start\.values\.step=20: must be below train\.steps=20"),
    ("  a: 3\n", r"stages\.a=3: must be a mapping of overrides"),
    (f"{A}  b: {{start: {{valuse: a}}}}\n", r"stages\.b\.start: unknown key 'valuse'\. did you mean 'values'"),
    (f"{A}  b: {{start: {{mask: {{cot: a}}}}}}\n", r"start\.mask=cot: no such option\. did you mean 'cut'"),
    (f"{A}  b: {{start: {{values: {{trial: a, step: 6000}}}}}}\n", r"b\.start\.values\.step=6000: must be from 0 to 5000"),
    (
        f"{A}  b: {{{GO_ON}}}\n  c: {{start: {{values: {{trial: b, step: 10}}}}}}\n",
        r"step=10: must be from 20 to 5000, the steps",
    ),
    (f"{A}  b: {{start: {{values: {{average: [a, 3]}}}}}}\n", r"stages\.b\.start\.values\.of=3: must be the name of a stage"),
    (f"{A}  b: {{start: {{values: {{average: 3}}}}}}\n", r"stages\.b\.start\.values\.of=3: must be the name of a stage"),
    (f"{A}  b: {{start: {{values: {{average: {{a: 1}}}}}}}}\n", r"start\.values\.of=\{'a': 1\}: must be the name of a stage"),
    (f"{A}  b: {{start: {{values: {{average: [a, c]}}}}}}\n", r"start\.values\.of=c: must be a stage above it"),
    (f"{A}  b: {{start: {{values: {{average: []}}}}}}\n", r"start\.values\.of: must name a stage, or several"),
    (
        f"{A}  b: {{start: {{values: {{average: a, steps: [0, 6000]}}}}}}\n",
        r"b\.start\.values\.steps=6000: must be from 0 to 5000",
    ),
    (f"{A}  b: {{start: {{go_on: true}}}}\n", r"start\.go_on=true: needs start\.values"),
    (f"{A}  b: {{start: {{optimizer: kept}}}}\n", r"start\.optimizer=kept: needs start\.values"),
    (f"{A}  b: {{optimizer: sgd, {GO_ON}}}\n", r"start\.optimizer=kept: must be fresh, as stage a has another optimizer"),
    (f"{A}  b: {{}}\n", r"stages\.b: has a trial that is one of stage a, too; let them differ"),
    (f"{A}  b: {{rounds: 2, first: a, {B % 'a'}}}\n", r"stages\.b: has a trial that is one of stage b, round=1, too"),
    (f"{A}  b: {{seed: 5, {B % 'a'}}}\n", r"stages\.b\.start\.mask\.of=a: stage a has no trial with seed=5"),
    (
        f"{A}  b: {{model.width: 9, start: {{values: a}}}}\n",
        r"start\.values\.of: starts from another network \(model\.width",
    ),
    (
        f"{A}  b: {{start: {{mask: {{copy: a, shuffle: true}}}}, start.mask.shuffle: false}}\n",
        r"b\.start\.mask\.shuffle=False: is set twice",
    ),
    (f"{A}  b: {{start: {{values: {{norm: a}}}}, start.optimizer: kept}}\n", r"optimizer=kept: needs start\.values of one trial"),
    (
        f"{A}  b: {{rounds: 2, first: a, train: {{teacher: previous}}}}\n  c: {{start: {{values: b}}}}\n",
        r"stages\.c: takes over train\.teacher\.of=previous",
    ),
    ("  b: {train: {teacher: a}}\n", r"stages\.b\.train\.teacher\.of=a: must be a stage above it"),
    (f"{A}  b: {{train.teacher.trial: ''}}\n", r"train\.teacher\.of: must name a stage"),
    (f"{A}  b: {{train: {{teacher: {{trial: a, step: 6000}}}}}}\n", r"b\.train\.teacher\.step=6000: must be from 0 to 5000"),
    (f"{A}  b: {{train: {{augment: shift, teacher: a}}}}\n", r"train\.augment: must be null with train\.teacher"),
    (
        f"{A}  b: {{data: mnist1d, train: {{teacher: a}}}}\n",
        r"b\.train\.teacher\.of: is of other data \(40 inputs and 10 outputs, and 64 and 10 in stage a\)",
    ),
    (
        f"{A}  b: {{axes: {{model.width: '3,4'}}}}\n  c: {{{B % 'a'}}}\n  d: {{start: {{values: c, mask: {{copy: b}}}}}}\n",
        r"network",
    ),
]


@pytest.mark.parametrize(("stages", "line"), MISTAKES)
def test_a_mistake_is_one_line(workplace, stages, line):
    with pytest.raises(ConfigError, match=line):
        staged(stages, "axes: {seed: '0,1'}\n")


def test_a_student_agrees_with_its_teacher_on_its_axes_and_takes_nothing_over(workplace):
    """Values of what it starts from, though: with its teacher, unless it has another."""
    stages = """\
  big: {model.width: 9, axes: {optimizer.learning_rate: "0.1,0.2"}}
  student: {train: {teacher: {trial: big, step: 7, temperature: 4}}, model.width: 5}
  again: {start: {mask: {copy: student}}}
  alone: {start: {mask: {copy: student}}, train.teacher: null}
"""
    trials = staged(stages, "axes: {seed: 0}\n")
    found = family(trials)
    assert found["student", 0.2, 0] == [("big", 0.2, 0, 7)]
    assert sorted(found["again", 0.2, 0]) == [("big", 0.2, 0, 7), ("student", 0.2, 0, 5000)]
    assert found["alone", 0.2, 0] == [("student", 0.2, 0, 5000)]
    student = next(trial.shape.leaves for trial in trials if trial.shape.part.stage == "student")
    assert (student["model.width"], student["train.teacher.temperature"]) == (5, 4)


def test_several_trials_that_fit_are_a_mistake(workplace):
    stages = """\
  wide: {axes: {optimizer.learning_rate: "0.1,0.2"}}
  other: {}
  both: {start: {values: {between: other, other: wide}}}
"""
    found = family(staged(stages, "axes: {seed: 0}\n"))
    assert found["both", 0.2, 0] == [("other", 0, 5000), ("wide", 0.2, 0, 5000)]


def test_a_start_without_stages_is_refused(workplace, capsys):
    assert main(["plan", "quickstart", "start.mask=copy", "start.mask.of=dense"]) == 2
    assert "start.mask.of=dense: names a stage, and the sweep has none" in capsys.readouterr().err


def test_what_a_start_says_may_be_an_axis(workplace):
    stages = """\
  dense: {}
  cut: {start: {mask: {cut: magnitude, of: dense}}, axes: {start.mask.score: "magnitude,snip", start.mask.drop: "0.2,0.5"}}
"""
    found = [trial for trial in staged(stages, "axes: {seed: 0}\n") if trial.shape.part.stage == "cut"]
    drawn = {(trial.shape.leaves["start.mask.score._target_"], trial.point["start.mask.drop"]) for trial in found}
    assert len(drawn) == 4


def test_a_value_that_is_listed_twice_counts_once(workplace):
    assert len(staged(STAGES, "axes: {seed: [0, 0, 1], model.width: [4, 6]}\n")) == len(staged(STAGES, AXES))


def test_a_childs_own_start_is_its_own(workplace):
    """An axis of its parent's start tells its trials apart, and sets nothing of theirs."""
    stages = """\
  dense: {}
  drawn: {start: {mask: {copy: dense}}, axes: {start.draw: "1,2"}}
  child: {start: {draw: 5, mask: {copy: drawn}}}
"""
    trials = [trial for trial in staged(stages, "axes: {seed: 0}\n") if trial.shape.part.stage == "child"]
    assert [(trial.labels, trial.shape.leaves["start.draw"]) for trial in trials] == [
        ({"start.draw": 1}, 5),
        ({"start.draw": 2}, 5),
    ]


def test_a_closed_form_has_no_start(workplace, capsys):
    assert main(["plan", "hastie2022_ridgeless", "start.draw=1"]) == 2
    assert "start: must be as it is by default for a closed-form optimizer" in capsys.readouterr().err


def test_settle_takes_the_leaves_of_every_stage(workplace):
    for trial in staged(STAGES, AXES):
        settle(trial.shape.leaves)
