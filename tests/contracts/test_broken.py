"""A component that breaks a rule is found to break that rule, and no other."""

from __future__ import annotations

import pytest

from ddlab.contracts import RULES, Status, check, compose_subject
from ddlab.losses import Loss
from tests.contracts import broken, broken_data
from tests.support import ONE_NUMBER

pytestmark = pytest.mark.numeric

# What draws numbers on the host breaks all that needs one run to be like another.
BREAKS = {
    "CountsOtherwise": {"training.has_the_parameters_that_are_planned"},
    "BeginsOtherwise": {"training.begins_alike"},
    "Wakes": {"training.stays_dead_where_padded"},
    "CountsPadding": {"training.is_the_same_in_a_pack"},
    "WrongGradient": {"training.follows_its_gradient"},
    "CompilesAnew": {"training.compiles_once"},
    "NeedsTheCPU": {"training.lowers"},
    "NotFinite": {"training.begins_finite"},
    "AsksTheHost": {"training.is_the_same_in_a_pack", "training.follows_its_gradient", "training.resumes", "training.lowers"},
    "FeaturesOfTheirNumber": {"training.is_the_same_in_a_pack", "solving.is_the_same_in_a_problem"},
    "KeepsItsRate": {"optimizers.has_a_state_of_any_learning_rate"},
    "NoScore": {"scores.is_finite"},
    "AgainstTheMean": {"scores.is_the_same_in_a_pack"},
    "CountsEntries": {"training.is_the_same_in_a_pack"},
    "ChangesItsState": {"training.begins_finite"},
    "MovesAll": {"training.stays_dead_where_padded"},
    "BelowZero": {"optimizers.has_rates_that_are_none_below_zero"},
    "Compares": {"losses.is_of_each_example", "losses.is_that_of_zero_outputs_untrained"},
    "WrongUntrained": {"losses.is_that_of_zero_outputs_untrained"},
    "CountsModes": {"solving.is_the_same_in_a_problem"},
    "NoFiniteSolution": {"solving.is_finite"},
    "CompiledAnew": {"solving.compiles_once"},
    "FilterOfTheCPU": {"solving.lowers"},
    "Miscounts": {"measures.counts_its_values"},
    "AveragesPadding": {"measures.is_the_same_in_a_pack"},
    "UndefinedAtFirst": {"measures.begins_finite"},
    "Impatient": {"measures.is_nothing_where_it_is_not_due"},
    "MeasuresTheHost": {
        "measures.is_the_same_in_a_pack",
        "measures.is_the_same_again",
        "measures.is_nothing_where_it_is_not_due",
        "training.lowers",
    },
    "SaysOtherwise": {"data.is_described_as_it_is"},
    "OtherEachTime": {
        "data.is_the_same_each_time",
        "data.is_the_same_in_another_process",
        "data.has_targets_apart",
        "data.is_nested",
    },
    "OtherInEachProcess": {"data.is_the_same_in_another_process"},
    "ShapedByNoise": {"data.has_one_shape"},
    "NoiseInInputs": {"data.has_targets_apart"},
    "NotNested": {"data.is_nested"},
}


# Those whose rules others break, too, or in another way.
AKIN = {"FeaturesOfTheirNumber", "CountsEntries", "MovesAll", "ChangesItsState"}


def name_of(rule):
    return f"{rule.__module__.rpartition('.')[2]}.{rule.__name__}"


def subject_of(name):
    cls = getattr(broken, name, None) or getattr(broken_data, name)
    is_small = cls.__module__ == broken.__name__ and not issubclass(cls, Loss)
    return compose_subject(f"{cls.__module__}.{name}", ONE_NUMBER if is_small else ())


def breaks(subject):
    """Return the rules that are broken, by name."""
    found = list(check(subject))
    assert all(verdict.reason for _, verdict in found if verdict.status is not Status.KEPT)
    return {name_of(rule) for rule, verdict in found if verdict.status is Status.BROKEN}


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) if name in AKIN else name for name in BREAKS])
def test_a_component_breaks_the_rules_that_it_is_made_to_break(name, monkeypatch):
    subject = subject_of(name)
    monkeypatch.setitem(RULES, subject.kind, [rule for rule in RULES[subject.kind] if name_of(rule) in BREAKS[name]])
    assert breaks(subject) == BREAKS[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", BREAKS)
def test_a_component_breaks_no_other_rule(name):
    assert breaks(subject_of(name)) == BREAKS[name]


def test_every_rule_is_broken_by_one():
    every = {name_of(rule) for rules in RULES.values() for rule in rules}
    assert every == set().union(*(rules for name, rules in BREAKS.items() if name not in AKIN))
