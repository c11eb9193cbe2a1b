"""When a metric gets to a level, and quantiles of steps that are censored."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ddlab.report.crossings import Level, accuracy, crossings, grokked, make_level
from ddlab.report.survival import quantile
from ddlab.store.results import Results
from tests.support import SWEEP


def results_of(*curves, status="completed", **metrics):
    """Return stored results: a trial for each curve of test errors at steps 0, 1, 2, 4, 8, ..."""
    rows = []
    for k, errors in enumerate(curves):
        steps = [0, *(2**power for power in range(len(errors) - 1))]
        columns = {name: values[k] for name, values in metrics.items()}
        rows.append(pd.DataFrame({"trial_id": f"t{k}", "step": steps, "test_error": errors, **columns}))
    trials = pd.DataFrame({"trial_id": [f"t{k}" for k in range(len(curves))], "seed": range(len(curves)), "status": status})
    return Results(trials, pd.concat(rows, ignore_index=True), SWEEP)


def crossing(errors, level=None, **options):
    results = results_of(errors, **options)
    (row,) = crossings(results, results.trials, level or accuracy("test", 0.99)).to_dict("records")
    return {name: value for name, value in row.items() if name != "trial_id" and value == value}


def known(last, first, sustained):
    return {"last": last, "until_first": first, "until_sustained": sustained}


def test_a_trial_that_gets_there_has_its_first_step_and_the_eval_point_before():
    found = crossing([0.9, 0.5, 0.01, 0.0])
    assert found == {"before_first": 1, "t_first": 2, "share_after": 1, "dip": 0.0} | known(last=4, first=4, sustained=1)


def test_a_dip_is_the_worst_value_after_the_first_step_and_the_sustained_step_is_later():
    errors = [0.9, 0.0, 0.3, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    found = crossing(errors)
    assert (found["t_first"], found["dip"], found["share_after"]) == (1, 0.3, 6 / 7)
    assert (found["before_sustained"], found["t_sustained"]) == (2, 4)
    short = crossing(errors[:-1])
    assert "t_sustained" not in short  # four later eval points are too few to know
    assert short["until_sustained"] == 2


def test_a_trial_that_stopped_early_would_have_kept_its_last_value():
    assert crossing([0.9, 0.5, 0.0], status="stopped")["t_sustained"] == 2
    assert "t_sustained" not in crossing([0.9, 0.5, 0.0])
    never = results_of([0.9, 0.5, 0.2], status="stopped")
    never.trials["train.steps"] = 100
    assert crossings(never, never.trials, accuracy("test", 0.99))["until_first"].tolist() == [100]


def test_a_trial_that_never_gets_there_has_its_last_step_only():
    assert crossing([0.9, 0.5, 0.011]) == known(last=2, first=2, sustained=2)


def test_a_trial_may_be_there_at_its_last_eval_point_or_at_its_first():
    assert crossing([0.9, 0.5, 0.01]) == {"before_first": 1, "t_first": 2} | known(last=2, first=2, sustained=1)
    assert crossing([0.0, 0.5]) == {"t_first": 0, "share_after": 0, "dip": 0.5} | known(last=1, first=1, sustained=1)


def test_an_eval_point_at_which_the_metric_is_not_measured_is_none():
    found = crossing([0.9, np.nan, 0.0, np.nan, 0.2])
    assert found == {"before_first": 0, "t_first": 2, "share_after": 0, "dip": 0.2} | known(last=8, first=8, sustained=8)


@pytest.mark.parametrize(
    ("kind", "value", "step"), [("at_most", 2, 2), ("at_least", 5, 8), ("falls_to", 0.25, 4), ("rises", 4, 8)]
)
def test_the_kinds_of_levels(kind, value, step):
    assert crossing([4, 3, 2, 1, 5, 3.5], Level("test_error", kind, value))["t_first"] == step


def test_what_rises_does_so_after_its_minimum():
    """Early values are far above the minimum, too."""
    assert crossing([9.0, 8.0, 1.0, 1.9, 2.1], Level("test_error", "rises", 2.0))["t_first"] == 8


def test_only_one_level_can_be():
    assert make_level("loss", at_most=None, rises=None) is None
    with pytest.raises(Exception, match="at_most and rises of loss: only one"):
        make_level("loss", at_most=1.0, rises=2.0)


def test_grokking_needs_a_delay_and_that_every_training_example_was_right_before():
    late = [0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.0]  # at step 32
    train = [
        [0.9, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],  # memorises at step 1
        [0.9, 0.9, 0.9, 0.0, 0.0, 0.0, 0.0],  # at 4: the delay is 8
        [0.9, 0.005, 0.005, 0.005, 0.005, 0.005, 0.0],  # one example is wrong until the end
        [0.9] * 7,
    ]
    results = results_of(late, late, late, late, train_error=train)
    level = accuracy("test", 0.99)
    at_once = results_of(late, train_error=[[0.0] * 7])
    assert not grokked(at_once, at_once.trials, level).any()
    assert grokked(results, results.trials, level).tolist() == [True, False, False, False]
    assert grokked(results, results.trials, level, delay=8).tolist() == [True, True, False, False]


# --- quantiles --------------------------------------------------------------------------------------------------------------


def scipy_quantile(times, censored, share):
    found = stats.ecdf(stats.CensoredData(uncensored=times[~censored], right=times[censored])).cdf
    there = found.probabilities >= share - 1e-12
    return found.quantiles[np.argmax(there)] if there.any() else np.inf


@pytest.mark.parametrize("share", [0.23, 0.37, 0.61])
def test_quantiles_are_those_of_kaplan_and_meier(share):
    random = np.random.default_rng(0)
    beyond = 0
    for _ in range(50):
        times = random.integers(1, 12, 9).astype(float)  # ties among them
        censored = random.uniform(size=9) < 0.4
        censored[0] = False
        expected = scipy_quantile(times, censored, share)
        assert quantile(times, censored, share) == expected
        beyond += np.isinf(expected)
    assert beyond < 50


def test_weights_are_repetitions():
    random = np.random.default_rng(1)
    times, censored = random.permutation(10).astype(float), random.uniform(size=10) < 0.3
    weights = random.integers(0, 4, (20, 10)).astype(float)
    repeated = [quantile(np.repeat(times, n), np.repeat(censored, n), 0.5)[0] for n in weights.astype(int)]
    np.testing.assert_array_equal(quantile(times, censored, 0.5, weights), repeated)


def test_without_censored_times_the_median_is_the_median():
    random = np.random.default_rng(2)
    for number in range(1, 9):
        times = random.integers(0, 6, number).astype(float)
        assert quantile(times, np.zeros(number, bool), 0.5) == np.median(times)


def test_a_censored_time_is_no_event_and_is_not_left_out():
    times = np.array([10.0, 20.0, 30.0, 40.0, 50.0])
    censored = np.array([False, True, False, False, False])
    assert quantile(times, censored, 0.5) == 40
    assert np.median(times[~censored]) == 35
    assert quantile(times, times > 30, 0.5) == 30
    assert quantile(times, times > 20, 0.5) == np.inf
    assert quantile(times[:2], np.array([False, True]), 0.5) == np.inf
    assert np.isnan(quantile(times, np.zeros(5, bool), 0.5, np.zeros((1, 5))))
    assert np.isnan(quantile(times[:0], np.zeros(0, bool), 0.5))
