"""A mistake in a claim is one line that names it."""

from __future__ import annotations

import pytest

from ddlab.errors import ConfigError
from ddlab.report.claims import make_claim

OF_CURVE = {"kind": "peak_location", "metric": "m", "x": "a", "between": [0, 1], "source": "s"}
LEADS = {"kind": "leads", "metric": "m", "at_most": 1, "between": [0, 1], "source": "s"}
MISTAKES = {
    "no kind": ({}, "kind=null: no such kind"),
    "unknown kind": ({"kind": "peak_locatoin"}, "did you mean 'peak_location'"),
    "unknown option": ({"kind": "value", "metrik": "x"}, "did you mean 'metric'"),
    "missing option": ({"kind": "peak_location", "metric": "m", "between": [0, 1], "source": "s"}, "there is no x"),
    "no bounds": ({"kind": "value", "metric": "m", "between": [None, None], "source": "s"}, "between=[null, null]: must be"),
    "one bound": ({"kind": "value", "metric": "m", "between": 3, "source": "s"}, "between=3"),
    "text bound": ({"kind": "value", "metric": "m", "between": ["a", 1], "source": "s"}, "between"),
    "bounds the wrong way": ({"kind": "value", "metric": "m", "between": [2, 1], "source": "s"}, "between=[2, 1]"),
    "no seeds": ({"kind": "value", "metric": "m", "between": [0, 1], "source": "s", "seeds": 0}, "seeds=0"),
    "where": (
        {"kind": "value", "metric": "m", "between": [0, 1], "source": "s", "where": "x"},
        "where=x: must be a mapping (trials taken,",
    ),
    "three": ({"kind": "share", "metric": "m", "between": [0, 1], "source": "s", "order": [{}, {}]}, "must be three selections"),
    "two sides": (
        {"kind": "rank_correlation", "metric": "m", "between": [0, 1], "source": "s", "order": [{}, {}], "sides": [{}]},
        "must be two selections",
    ),
    "order": ({"kind": "ratio", "metric": "m", "between": [0, 1], "source": "s", "order": [{}]}, "two or more"),
    "trend": ({"kind": "monotone", "metric": "m", "x": "a", "between": [0, 1], "source": "s", "trend": "up"}, "trend=up"),
    "theory": (
        {"kind": "matches_theory", "metric": "excess_risk", "x": "a", "between": [0, 1], "source": "s", "theory": "rige"},
        "did you mean 'ridge'",
    ),
    "metric of a theory": (
        {"kind": "matches_theory", "metric": "train_loss", "x": "a", "between": [0, 1], "source": "s", "theory": "ridge"},
        "not train_loss",
    ),
    "two levels later": ({**LEADS, "then": {"metric": "m", "at_most": 1, "rises": 2}}, "claims.c.then="),
    "a share below 0": ({**LEADS, "then": {"metric": "m", "falls_to": -1}}, "falls_to and rises above 0"),
    "grokking of the training set": (
        {"kind": "grokking", "metric": "train_error", "at_most": 0, "between": [0, 1], "source": "s"},
        "metric=train_error: must be one of the test set",
    ),
    "no mapping": ("peak", "must be a mapping"),
    "kind is no name": ({"kind": ["value"]}, "no such kind"),
    "x is no name": ({**OF_CURVE, "x": 5}, "x=5: must be text"),
    "bounds are null": ({**OF_CURVE, "between": None}, "between=null: must be a list"),
    "x is null": ({**OF_CURVE, "x": None}, "x=null: must be text"),
    "best over what": ({**OF_CURVE, "best_over": ["a"]}, "must be text or null"),
    "seeds are no number": ({**OF_CURVE, "seeds": True}, "seeds=True: must be a whole number"),
    "several values": ({**OF_CURVE, "where": {"model.width": [5, 10]}}, "where.model.width=[5, 10]: must be one value"),
    "nested selection": (
        {**OF_CURVE, "where": {"optimizer": {"weight_decay": 0.0}}},
        "must be one value of the column optimizer",
    ),
    "sustained": (
        {"kind": "first_crossing", "metric": "m", "between": [0, 1], "source": "s", "at_most": 1, "sustained": "no"},
        "sustained=no: must be true or false",
    ),
    "a level is needed": (
        {"kind": "delay", "metric": "test_error", "between": [0, 1], "source": "s"},
        "needs a level of test_error",
    ),
    "two levels": ({**OF_CURVE, "at_most": 1, "rises": 2}, "at_most and rises of"),
    "nothing is sustained": ({**OF_CURVE, "sustained": True}, "sustained=true: needs a level"),
    "the delay of training": (
        {"kind": "delay", "metric": "train_error", "at_most": 0.1, "between": [0, 1], "source": "s"},
        "must be one of the test set",
    ),
    "then what": (
        {"kind": "leads", "metric": "m", "at_most": 1, "between": [0, 1], "source": "s", "then": {"metric": "m"}},
        "claims.c.then={'metric': 'm'}: must be a metric and one level of it",
    ),
    "after what": (
        {"kind": "value_at", "metric": "m", "between": [0, 1], "source": "s", "after": {"metric": "m", "at_most": "low"}},
        "claims.c.after={'at_most': 'low', 'metric': 'm'}: must be a metric and one level of it",
    ),
    "less of nothing": (
        {"kind": "difference", "metric": "m", "between": [0, 1], "source": "s", "less": {}},
        "less: must have another where, metric or stop_by",
    ),
    "less of null": (
        {"kind": "difference", "metric": "m", "between": [0, 1], "source": "s", "less": None},
        "less=null: must be a mapping (what is taken off: its where, metric, stop_by,",
    ),
    "less by a word": (
        {"kind": "difference", "metric": "m", "between": [0, 1], "source": "s", "less": {"metrik": "n"}},
        "did you mean 'metric'",
    ),
    "less of a list": (
        {"kind": "difference", "metric": "m", "between": [0, 1], "source": "s", "less": {"where": {"a": [1, 2]}}},
        "claims.c.less.where.a=[1, 2]: must be one value",
    ),
    "stopped before a level": (
        {**OF_CURVE, "at_most": 1, "stop_by": "validation_error"},
        "stop_by=validation_error: is for values of m, not for when m is at most 1",
    ),
    "optimum of nothing": (
        {**OF_CURVE, "kind": "matches_theory", "metric": "excess_risk", "theory": "optimal_ridge"},
        "needs best_over: optimizer.weight_decay",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_a_claim_is_one_line_that_names_it(mistake):
    options, words = MISTAKES[mistake]
    with pytest.raises(ConfigError) as caught:
        make_claim("c", options)
    assert str(caught.value).startswith("claims.c")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
