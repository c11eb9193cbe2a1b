"""Where a metric peaks over where another crosses a level: on curves made by hand, and on stored reference results."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from ddlab.errors import ConfigError
from ddlab.report.claims import FAIL, NOT_ENOUGH, PASS, make_claim
from ddlab.store.results import Results, load
from tests.support import REFERENCE, SWEEP

PEAK = {2: 1.0, 4: 2.0, 8: 5.0, 16: 1.0}
OVER = {"metric": "train_error", "at_most": 0.1}


def results_of(peaks, errors, num_seeds=3):
    """Return stored results of widths; the train error of seed s is 0.02 s above the given one."""
    trials, curves = [], []
    for width, loss in peaks.items():
        for seed in range(num_seeds):
            trial = f"{width}-{seed}"
            sizes = {"num_train": 10, "num_outputs": 1, "params_per_sample": 1.0}
            trials.append({"trial_id": trial, "seed": seed, "status": "completed", "last_step": 9, "model.width": width, **sizes})
            error = errors.get(width)
            metrics = {"test_loss": loss, "train_error": None if error is None else error + 0.02 * seed}
            curves += [{"trial_id": trial, "step": 0, "test_loss": 9.0, "train_error": 1.0}]
            curves += [{"trial_id": trial, "step": 9, **metrics}]
    return Results(pd.DataFrame(trials), pd.DataFrame(curves), SWEEP)


def verdict(results, **options):
    given = {"kind": "location_ratio", "metric": "test_loss", "x": "model.width", "between": [1, 2], "source": "s", "over": OVER}
    return make_claim("c", given | options).verdict("c", results)


def test_a_peak_is_measured_in_units_of_the_threshold_width():
    # The mean error falls from 0.2 at 4 to 0 at 8: 0.1 is crossed half-way in log width.
    errors = {2: 0.38, 4: 0.18, 8: -0.02, 16: -0.02}
    found = verdict(results_of(PEAK, errors))
    assert (found.status, found.measured) == (PASS, pytest.approx(8 / math.sqrt(32)))
    assert found.says == "width at which test loss peaks over that at which train error is at most 0.1"
    # Seed 2 has an error 0.02 larger than the mean: it crosses 0.02 / 0.2 of the way later.
    late, early = (8 / (4 * 2**share) for share in (0.6, 0.4))
    assert [found.interval.low, found.interval.high] == pytest.approx([late, early])
    assert found.interval.kind == "range of 3 seeds"
    assert verdict(results_of({2: 1.0, 4: 5.0, 8: 2.0, 16: 1.0}, errors)).status == FAIL


def test_the_level_may_hold_up_to_the_threshold_as_along_the_number_of_examples():
    errors = {2: -0.02, 4: -0.02, 8: 0.18, 16: 0.38}
    assert verdict(results_of(PEAK, errors)).measured == pytest.approx(8 / math.sqrt(32))
    over = {"metric": "train_error", "at_least": 0.1}
    assert verdict(results_of(PEAK, errors), over=over).measured == pytest.approx(8 / math.sqrt(32))


def test_the_level_may_be_a_share_of_the_first_value():
    errors = {2: 0.38, 4: 0.18, 8: -0.02, 16: -0.02}
    over = {"metric": "train_error", "falls_to": 0.1}
    assert verdict(results_of(PEAK, errors), over=over).measured == pytest.approx(8 / math.sqrt(32))


def test_without_a_peak_there_is_no_ratio():
    found = verdict(results_of({2: 4.0, 4: 3.0, 8: 2.0, 16: 1.0}, {2: 0.4, 4: 0.2, 8: 0.0, 16: 0.0}))
    assert found.outcome == "fail: there is none"


@pytest.mark.parametrize(("error", "where"), [(0.0, "every"), (0.5, "no")])
def test_a_threshold_beyond_the_widths_is_no_number(error, where):
    found = verdict(results_of(PEAK, dict.fromkeys(PEAK, error)))
    assert found.status == NOT_ENOUGH
    assert found.reason == f"train error is at most 0.1 at {where} width from 2 to 16"
    assert math.isnan(found.measured)


def test_both_metrics_are_needed_at_each_width():
    found = verdict(results_of(PEAK, {2: 0.4, 4: 0.2, 8: 0.0}))
    assert found.outcome == "not enough data: test_loss and train_error have other values of model.width"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"over": {"metric": "train_error"}}, "claims.c.over="),
        ({"over": {"metric": "train_error", "rises": 2}}, "at_most, at_least, falls_to"),
        ({"at_most": 1}, "takes a level in over: alone"),
        ({"best_over": "optimizer.weight_decay"}, "no best_over"),
    ],
)
def test_a_mistake_is_one_line(options, words):
    with pytest.raises(ConfigError, match=words):
        verdict(results_of(PEAK, PEAK), **options)


def test_mnist1d_peaks_near_its_threshold_width():
    """The reference results: the ratio was 0.96 (95 %: 0.86 to 1.13)."""
    found = verdict(load(REFERENCE / "mnist1d_width"), metric="test_error", between=[0.9, 1.8])
    assert found.status == PASS
    assert np.isfinite([found.interval.low, found.interval.high]).all()
