"""Where a metric crosses a level along sizes: against another isotonic regression, lines in log n, and curves made by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from sklearn.isotonic import IsotonicRegression

from ddlab.errors import ConfigError
from ddlab.report.crossings import Level
from ddlab.report.isotonic import crossing_at, crossing_of, crossings_at, fit, holds_up_to, level_rows
from ddlab.report.sample import make_sample

AT_MOST, AT_LEAST = Level("train_error", "at_most", 0.1), Level("train_accuracy", "at_least", 0.9)
N = np.array([10.0, 20.0, 40.0, 80.0])


@pytest.mark.parametrize("rising", [False, True])
def test_the_fit_is_that_of_another_isotonic_regression(rising):
    random = np.random.default_rng(0)
    for num_points in (1, 2, 7, 30):
        y = random.normal(size=num_points) + np.linspace(0, 1, num_points)
        other = IsotonicRegression(increasing=rising).fit_transform(np.arange(num_points), y)
        np.testing.assert_allclose(fit(y, rising), other, rtol=1e-12, atol=1e-15)


def test_between_points_the_fit_is_a_line_in_log_n():
    y = np.log(N / 10) / 8  # reaches 0.1 at 10 exp(0.8)
    assert crossing_at(N, y, AT_MOST, up_to=True) == pytest.approx(10 * math.exp(0.8))
    assert crossing_at(N, 1 - y, AT_LEAST, up_to=True) == pytest.approx(10 * math.exp(0.8))
    assert crossing_at(N, y[::-1], AT_MOST, up_to=False) == pytest.approx(80 * math.exp(-0.8))


@pytest.mark.parametrize(
    ("y", "at"),
    [
        ([0.0, 0.1, 0.1, 0.3], 40.0),  # the greatest n that holds the level
        ([0.0, 0.2, 0.0, 0.3], 40.0),  # violators are pooled: 0, 0.1, 0.1, 0.3
        ([0.0, np.nan, 0.2, 0.3], 20.0),
        ([0.0, 0.0, 0.0, 0.1], math.inf),
        ([0.2, 0.3, 0.4, 0.4], -math.inf),
        ([np.nan] * 4, math.nan),
    ],
)
def test_a_crossing_of_a_curve_made_by_hand(y, at):
    y = np.array(y)
    assert crossing_at(N, y, AT_MOST, up_to=True) == pytest.approx(at, nan_ok=True)
    mirrored = crossing_at(1 / N[::-1], y[::-1], AT_MOST, up_to=False)
    assert mirrored == pytest.approx({math.inf: -math.inf, -math.inf: math.inf}.get(at, 1 / at), nan_ok=True)


def test_the_side_on_which_the_level_holds_is_that_of_the_better_fit():
    falling = np.array([0.5, 0.2, 0.25, 0.0])
    assert not holds_up_to(falling, AT_MOST)
    assert holds_up_to(falling[::-1], AT_MOST)
    assert holds_up_to(1 - falling[::-1], AT_LEAST)


def rows_of(shifts, n=N):
    """Return train errors log(n / 10) / 8 of seeds, each as if it had so many times the capacity."""
    return pd.DataFrame(
        [{"n": at, "seed": seed, "train_error": np.log(at / shift / 10) / 8} for at in n for seed, shift in shifts]
    )


def test_a_crossing_has_an_interval_over_seeds_and_the_points_beside_it():
    shifts = list(enumerate(np.geomspace(0.8, 1.25, 5)))
    found = crossing_of(make_sample(rows_of(shifts), "train_error", "n", ["seed"]), AT_MOST, up_to=True)
    assert found.at == found.bound == pytest.approx(10 * math.exp(0.8))
    assert 0.8 * found.at < found.interval.low < found.at < found.interval.high < 1.25 * found.at
    assert (found.bracket, found.beyond, found.interval.kind) == ((20, 40), "", "95 %")
    again = crossing_of(make_sample(rows_of(shifts), "train_error", "n", ["seed"]), AT_MOST, up_to=True)
    assert again == found


def test_few_seeds_have_their_range_and_one_has_none():
    few = crossing_of(make_sample(rows_of([(0, 0.9), (1, 1.2)]), "train_error", "n", ["seed"]), AT_MOST, up_to=True)
    assert [few.interval.low, few.interval.high] == pytest.approx([9 * math.exp(0.8), 12 * math.exp(0.8)])
    (alone,) = [crossing_of(make_sample(rows_of([(0, 1.0)]), "train_error", "n", ["seed"]), AT_MOST, up_to=True)]
    assert math.isnan(alone.interval.low)


@pytest.mark.parametrize(("n", "beyond", "bound"), [(N[:2], ">", 20), (N[2:], "<", 40)])
def test_beyond_the_points_there_is_no_number(n, beyond, bound):
    found = crossing_of(make_sample(rows_of([(0, 0.9), (1, 1.1)], n), "train_error", "n", ["seed"]), AT_MOST, up_to=True)
    assert math.isnan(found.at)
    assert math.isnan(found.interval.low)
    assert (found.beyond, found.bound) == (beyond, bound)


def test_resamples_that_cross_beyond_the_points_have_no_number():
    sample = make_sample(rows_of([(0, 0.5), (1, 4.0)]), "train_error", "n", ["seed"])
    means = sample.means(np.array([[1, 1], [1, 0], [0, 1]]))
    assert list(np.isfinite(crossings_at(N, means, AT_MOST, up_to=True))) == [True, True, False]


def test_a_level_may_be_a_share_of_the_first_value(results):
    results.curves["train_loss"] = np.where(results.curves["step"] == 0, 4.0, 1.0)
    rows, level = level_rows(results, {}, Level("train_loss", "falls_to", 0.25), ["model.width"])
    assert set(rows["train_loss"]) == {0.25}
    assert level == Level("train_loss", "at_most", 0.25)


def test_an_x_of_zero_has_no_place_on_a_log_scale(results):
    results.trials["model.width"] -= 2
    with pytest.raises(ConfigError, match=r"x=model.width: must be greater than 0"):
        level_rows(results, {}, AT_MOST, ["model.width"])
