"""Claims on when trials learn."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from ddlab.report.claims import FAIL, PASS, make_claim
from ddlab.store.results import Results
from tests.support import SWEEP

STEPS = (0, 10, 20, 40, 80, 160, 320, 640)
ERROR = {"metric": "test_error", "at_most": 0.01}
WIDTH = "model.width"


def falls(step, *, to=0.0, start=0.9):
    """Return a metric at `STEPS` that falls at a step, and stays there."""
    return [start if at < step else to for at in STEPS]


def results_of(*trials, **columns):
    """Return stored results of trials that differ in their seeds, or columns: each is its curves, metric -> values at `STEPS`."""
    own = {name: list(values) for name, values in columns.items()}
    table = pd.DataFrame({"trial_id": [f"t{k}" for k in range(len(trials))], "seed": range(len(trials)), **own})
    fixed = {"status": "completed", "last_step": STEPS[-1], "num_train": 10, "num_outputs": 1, "params_per_sample": 1.0}
    rows = [pd.DataFrame({"trial_id": f"t{k}", "step": STEPS, **curves}) for k, curves in enumerate(trials)]
    return Results(table.assign(**fixed), pd.concat(rows, ignore_index=True), SWEEP)


def groks(train, test, **more):
    return {"train_error": falls(train), "test_error": falls(test), **more}


def verdict(results, kind, **options):
    return make_claim("c", {"kind": kind, "source": "nobody", **options}).verdict("c", results)


def test_a_step_lies_between_two_eval_points():
    results = results_of(groks(10, 160), groks(10, 320), groks(10, 320))
    found = verdict(results, "first_crossing", **ERROR, between=[200, 400])
    assert (found.status, found.measured, found.since) == (PASS, 320, 160)
    assert found.cells[0] == "320 in (160, 320]"
    assert verdict(results, "first_crossing", **ERROR, between=[None, 319]).status == FAIL


def test_a_dip_does_not_move_the_first_step():
    dips = [0.9, 0.9, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0]
    results = results_of({"test_error": dips})
    assert verdict(results, "first_crossing", **ERROR, between=[20, 20]).status == PASS
    sustained = verdict(results, "first_crossing", **ERROR, sustained=True, between=[40, None])
    assert (sustained.status, sustained.cells[0]) == (PASS, "> 40")  # four later eval points are not five
    assert verdict(results, "first_crossing", **ERROR, sustained=True, between=[80, None]).status == FAIL
    both = results_of({"test_error": [0.9, 0.0, 0.5, *[0.0] * 5]} | {"train_error": [0.9, 0.0, 0.5, *[0.0] * 5]})
    both.trials["status"] = "stopped"
    found = verdict(both, "first_crossing", **ERROR, sustained=True, between=[40, 40])
    assert (found.status, found.cells[0]) == (PASS, "40 in (20, 40]")
    assert verdict(both, "delay", **ERROR, sustained=True, between=[1, 1]).status == PASS


def test_what_is_censored_is_not_left_out():
    """Two of three never get there: the median is beyond the last step, which shows a bound from below only."""
    results = results_of(groks(10, 160), groks(10, 10**4), groks(10, 10**4))
    found = verdict(results, "first_crossing", **ERROR, between=[600, None])
    assert (found.status, found.cells[0]) == (PASS, "> 640")
    assert verdict(results, "first_crossing", **ERROR, between=[None, 10**6]).status == FAIL
    assert verdict(results, "first_crossing", **ERROR, between=[700, None]).status == FAIL


def test_the_delay_is_the_ratio_of_the_steps_of_each_trial():
    results = results_of(groks(10, 160), groks(20, 160), groks(10, 320))
    assert verdict(results, "delay", **ERROR, between=[10, None]).measured == 16
    assert verdict(results_of(groks(10**4, 160)), "delay", **ERROR, between=[0, None]).outcome == "fail: there is none"
    assert verdict(results, "delay", **ERROR, difference=True, between=[10, None]).measured == 150
    beyond = verdict(results_of(groks(20, 10**4)), "delay", **ERROR, between=[30, None])
    assert (beyond.status, beyond.cells[0]) == (PASS, "> 32")


def test_the_share_that_groks():
    results = results_of(groks(10, 160), groks(20, 160), groks(10, 10**4), groks(10, 640))
    found = verdict(results, "grokking", **ERROR, between=[0.5, 0.5])
    assert (found.status, found.measured) == (PASS, 0.5)
    assert verdict(results, "grokking", **ERROR, delay=8, between=[0.75, 0.75]).status == PASS


def test_the_share_that_gets_there():
    results = results_of(groks(10, 160), groks(10, 10**4), groks(10, 10**4), groks(10, 10**4))
    assert verdict(results, "reached", **ERROR, between=[0.25, 0.25]).status == PASS
    assert verdict(results, "reached", **ERROR, between=[0, 0]).status == FAIL


THEN = {"metric": "test_loss", "at_most": 1.0}


@pytest.mark.parametrize(
    ("first", "later", "factor", "share"),
    [
        (40, 80, 1.0, 1.0),
        (80, 80, 1.0, 0.0),
        (40, 80, 0.5, 0.0),
        (20, 80, 0.5, 1.0),
        (40, 10**4, 1.0, 1.0),
        (40, 10**4, 0.5, 1.0),
        (320, 10**4, 0.5, 0.0),
        (10**4, 40, 1.0, 0.0),
    ],
)
def test_what_leads_is_earlier_on_the_same_eval_points(first, later, factor, share):
    results = results_of({"restricted": falls(first, start=3), "test_loss": falls(later, start=3)})
    found = verdict(results, "leads", metric="restricted", at_most=1, then=THEN, factor=factor, between=[share, share])
    assert (found.status, found.measured) == (PASS, share)


def test_what_is_measured_seldom_is_compared_at_its_own_eval_points():
    seldom = [3.0, math.nan, math.nan, math.nan, 0.5, math.nan, math.nan, 0.5]
    results = results_of({"restricted": falls(40, start=3), "test_loss": seldom})
    assert verdict(results, "leads", metric="restricted", at_most=1, then=THEN, between=[0, 0]).status == PASS


def test_what_rises_may_lead():
    excluded = [5.0, 1.0, 1.1, 1.5, 2.1, 9, 9, 9]  # twice its minimum at step 80
    results = results_of(*({"excluded": excluded, "test_loss": falls(step, start=3)} for step in (40, 80, 160, 320)))
    assert verdict(results, "leads", metric="excluded", rises=2, then=THEN, between=[0.5, 0.5]).status == PASS


def test_a_value_is_taken_some_times_later_at_every_trial_or_not_at_all():
    shares = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    results = results_of(groks(10, 80, share=shares), groks(10, 160, share=shares))
    after = {"after": ERROR, "metric": "share"}
    assert verdict(results, "value_at", **after, between=[0, 1]).measured == pytest.approx((0.7 + 0.8) / 2)  # at 320 and 640
    assert math.isnan(verdict(results, "value_at", **after, times=5, between=[0, 1]).measured)
    assert verdict(results, "value_at", **after, at_least=0.75, between=[0.5, 0.5]).measured == 0.5
    assert verdict(results, "value_at", **after, times=5, at_least=0.75, between=[0, 1]).measured == 0.5  # one never gets there


def test_a_plateau_is_between_memorising_and_half_the_steps_to_generalising():
    accuracies = [0.0, 0.1, 0.2, 0.3, 0.4, 0.9, 0.6, 1.0]
    results = results_of(groks(20, 320, accuracy=accuracies))
    assert verdict(results, "plateau", metric="accuracy", between=[0, 1]).measured == pytest.approx(0.35)  # at 20, ..., 160
    without = results_of(groks(20, 320, accuracy=accuracies), groks(10**4, 320, accuracy=accuracies))
    assert math.isnan(verdict(without, "plateau", metric="accuracy", between=[0, 1]).measured)  # one never memorises
    never = results_of(groks(20, 10**4, accuracy=accuracies))
    assert verdict(never, "plateau", metric="accuracy", between=[0, 1]).measured == pytest.approx(0.5)


def test_steps_have_slopes_ratios_and_orders():
    """Steps 40, 80, 160 at width 4, 2, 1: the slope is -1."""
    results = results_of(*(groks(10, step) for step in (160, 80, 40)), **{WIDTH: [1, 2, 4]})
    order = {"order": [{WIDTH: 4}, {WIDTH: 2}, {WIDTH: 1}]}
    assert verdict(results, "slope", **ERROR, x=WIDTH, between=[-1.01, -0.99]).measured == pytest.approx(-1)
    assert verdict(results, "ratio", **ERROR, **order, between=[3, 5]).measured == 4
    assert verdict(results, "ordering", **ERROR, **order, between=[2, None]).measured == 2
    censored = results_of(*(groks(10, step) for step in (10**4, 80, 40)), **{WIDTH: [1, 2, 4]})
    unknown = "not enough data: it is beyond the steps trained"
    assert verdict(censored, "slope", **ERROR, x=WIDTH, between=[None, 0]).outcome == unknown
    beyond = verdict(censored, "ratio", **ERROR, **order, between=[10, None])
    assert (beyond.status, beyond.cells[0]) == (PASS, "> 16")
    below = verdict(censored, "ratio", **ERROR, order=order["order"][::-1], between=[None, 0.1])
    assert (below.status, below.cells[0]) == (PASS, "< 0.0625")
    both = results_of(groks(10, 10**4), groks(10, 10**4), **{WIDTH: [1, 2]})
    assert verdict(both, "ratio", **ERROR, order=[{WIDTH: 1}, {WIDTH: 2}], between=[0, 2]).outcome == unknown


def test_what_holds_at_the_first_eval_point_lies_in_no_interval():
    assert verdict(results_of(groks(0, 0)), "first_crossing", **ERROR, between=[0, 0]).cells[0] == "0"
