"""Intervals over seeds: ranges, coverage by simulation, and what is said where there is none."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pandas as pd
import pytest

from ddlab.report.claims import make_claim
from ddlab.report.intervals import bca, interval_of
from ddlab.report.sample import make_sample
from tests.support import SEEDS

SIMULATIONS = 400


def claim_of(kind, **options):
    return make_claim("c", {"kind": kind, "metric": "m", "between": [0, 1], "source": "nobody", **options})


VALUE, CURVE = claim_of("value"), claim_of("peak_location", x="x")
RATIO = claim_of("ratio", order=[{"a": 1}, {"a": 2}])


def interval(claim, rows):
    sample = make_sample(rows, "m", claim.point, SEEDS)
    return interval_of(sample, partial(claim.numbers, sample))


def of_seeds(values):
    return pd.DataFrame({"seed": np.arange(len(values)), "m": values})


def two_groups(values):
    half = len(values) // 2
    return pd.DataFrame({"seed": np.tile(np.arange(half), 2), "group": np.repeat([0, 1], half), "m": values})


def curves(*seeds):
    """Rows of one curve for each seed."""
    return pd.concat([pd.DataFrame({"x": range(len(values)), "m": values, "seed": k}) for k, values in enumerate(seeds)])


# Claim, its rows from independent values, their law, the true number, and the coverage measured with 5, 10 and 20 seeds in 1,000
# simulations each, with other random numbers than below. Nominal: 95 %. Plain BCa, not widened, was measured to have 85, 90, 93 %
# of the normal seeds, as theory has it (Student's t within 1.96 sqrt((n - 1) / n): 85, 90, 93 %), and 82, 88, 91 % of the skewed.
# What is missing after widening is skewness, which BCa corrects to second order only (Efron, Tibshirani 1993, section 14.3).
LAWS = {
    "mean of normal seeds": (VALUE, of_seeds, lambda random, n: random.normal(1, 0.2, n), 1.0, (0.924, 0.944, 0.951)),
    "mean of skewed seeds": (
        VALUE,
        of_seeds,
        lambda random, n: random.lognormal(-1 / 8, 0.5, n),
        1.0,
        (0.89, 0.928, 0.936),
    ),
    "ratio of medians": (RATIO, two_groups, lambda random, n: random.lognormal(0, 0.5, 2 * n), 1.0, (0.944, 0.968, 0.964)),
}


@pytest.mark.parametrize("law", LAWS)
def test_the_interval_holds_the_true_number_about_as_often_as_it_says(law):
    """Within 3.5 standard errors of a proportion: of what was measured, in 400 simulations and the 1,000 before."""
    claim, rows, draw, truth, measured = LAWS[law]
    random = np.random.default_rng(2)
    for num_seeds, expected in zip((5, 10, 20), measured, strict=True):
        found = [interval(claim, rows(draw(random, num_seeds))) for _ in range(SIMULATIONS)]
        assert {each.kind for each in found} == {"95 %"}
        coverage = np.mean([each.low <= truth <= each.high for each in found])
        error = math.sqrt(expected * (1 - expected) * (1 / SIMULATIONS + 1 / 1000))
        assert coverage == pytest.approx(expected, abs=3.5 * error)


def test_few_seeds_have_a_range_and_it_is_called_so():
    assert str(interval(VALUE, of_seeds([3.0, 1.0, 2.5]))) == "1 to 3 (range of 3 seeds)"
    assert str(interval(VALUE, of_seeds([3.0, 3.0, 3.0, 3.0]))) == "3 (range of 4 seeds)"
    assert str(interval(VALUE, of_seeds([3.0]))) == ""


def test_the_range_is_of_the_number_of_each_seeds_own_curve():
    """The mean curve is 1, 5, 4, 1 and peaks at 1; the seeds peak at 1, 2 and 1."""
    assert str(interval(CURVE, curves([1, 9, 2, 1], [1, 2, 9, 1], [1, 4, 1, 1]))) == "1 to 2 (range of 3 seeds)"
    partly = interval(CURVE, curves([1, 9, 2, 1], [1, 2, 9, 1], [4, 3, 2, 1]))
    assert str(partly) == "1 to 2 (range of 3 seeds; none in 1 of 3 seeds)"
    assert str(interval(CURVE, curves([1, 2, 3, 4], [4, 3, 2, 1]))) == "none in 2 of 2 seeds"


def test_a_curve_that_only_some_seeds_have_whole_is_a_range_of_few():
    """Six seeds, but three of them at each point, and none at all points."""
    rows = curves(*[[1, 9, 2, 1], [1, 8, 2, 1], [1, 7, 3, 1]] * 2)
    rows = rows[(rows["seed"] < 3) == (rows["x"] < 2)]
    assert str(interval(CURVE, rows)) == "none in 6 of 6 seeds"


def grid(data, features, value):
    """Rows of a grid of seeds."""
    places = [(d, f) for d in range(data) for f in range(features)]
    return pd.DataFrame({"data.seed": d, "seed": f, "m": value(d, f)} for d, f in places)


def test_seeds_that_form_a_grid_are_drawn_each_for_itself():
    """Values a_d + b_f over 8 x 10 seeds: the standard error of the mean is that of the a_d and of the b_f, not of 80 numbers."""
    a, b = np.linspace(-1, 1, 8), np.linspace(-2, 2, 10)
    found = interval(VALUE, grid(8, 10, lambda d, f: 50 + a[d] + b[f]))
    widened = 2.365 * math.sqrt(8 / 7)  # Student's t with 7 degrees of freedom; variances of resamples are 7/8 of the right ones
    expected = 2 * widened * math.sqrt(a.var() / 8 + b.var() / 10)
    assert found.kind == "95 %"
    assert found.high - found.low == pytest.approx(expected, rel=0.1)
    assert found.high - found.low > 2 * 2 * widened * math.sqrt((a.var() + b.var()) / 80)


def test_a_grid_with_few_of_one_seed_has_the_range_of_all():
    assert str(interval(VALUE, grid(10, 3, lambda d, f: d + 10 * f))) == "0 to 29 (range of 3 x 10 seeds)"


def test_seeds_that_vary_together_are_one():
    rows = of_seeds(np.arange(6.0))
    assert interval(VALUE, rows.assign(**{"data.seed": rows["seed"] + 7})) == interval(VALUE, rows)


def test_a_number_that_no_resample_changes_says_so():
    assert str(interval(CURVE, curves(*[[1, 5 + seed, 2, 1] for seed in range(6)]))) == "1 (all resamples)"
    assert str(interval(VALUE, of_seeds([0.1] * 7))) == "0.1 (all resamples)"


def test_resamples_without_a_number_are_counted():
    """One seed of five makes the peak: it is not drawn in (4/5)^5 = 33 % of the resamples."""
    words = str(interval(CURVE, curves([1, 90, 2, 1], *[[4, 3, 2, 1]] * 4)))
    number = int(words.removeprefix("1 (none in ").removesuffix(" of 2,000 resamples)"))
    assert number == pytest.approx(2000 * 0.8**5, abs=3.5 * math.sqrt(2000 * 0.33 * 0.67))


def test_a_number_beside_all_its_resamples_has_their_quantiles_and_not_an_interval_of_its_own():
    """A deviation whose resamples all lie above it: the bias is too great for BCa to correct."""
    resampled = np.linspace(2, 3, 2000)
    found = bca(1.0, resampled, [np.arange(10.0)], 10)
    assert found.kind == "95 % of resamples"
    assert (found.low, found.high) == pytest.approx((2.025, 2.975))
    assert bca(4.0, resampled, [np.arange(10.0)], 10) == found
    assert str(bca(math.nan, np.full(2000, math.nan), [np.full(10, math.nan)], 10)) == "none in 2,000 of 2,000 resamples"


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_a_number_missing_without_one_seed_leaves_the_acceleration_of_the_others(odd):
    resampled, left_out = np.random.default_rng(0).lognormal(0, 0.5, 2000), np.array([1.0, 1.0, 1.1, 0.9, 0.2])
    whole = bca(1.0, resampled, [left_out], 6)
    partly = bca(1.0, resampled, [np.append(left_out, odd)], 6)
    assert partly.kind == "95 %; none in 1 of 6 left-out seeds"
    assert (partly.low, partly.high) == (whole.low, whole.high)
    assert whole.low != bca(1.0, resampled, [np.zeros(5)], 6).low  # whose acceleration is 0
    assert bca(1.0, resampled, [np.full(5, odd)], 6).kind == "95 %; none in 5 of 5 left-out seeds"


def test_huge_deviations_have_an_interval():
    values = [1e200, 2e200, 3e200, 5e200, 9e200, 4e200]
    found, small = interval(VALUE, of_seeds(values)), interval(VALUE, of_seeds(np.array(values) / 1e200))
    assert (found.low, found.high) == pytest.approx((small.low * 1e200, small.high * 1e200))


def test_infinite_values_are_kept_apart_from_those_that_do_not_count():
    sample = make_sample(of_seeds([1.0, math.inf, 3.0, -math.inf, math.nan]), "m", None, SEEDS)
    weights = np.array([[1, 0, 1, 0, 1], [1, 1, 0, 0, 0], [0, 1, 0, 1, 0], [0, 0, 0, 2, 0], [0, 0, 0, 0, 1.0]])
    assert sample.means(weights)[:, 0] == pytest.approx([2, math.inf, math.nan, -math.inf, math.nan], nan_ok=True)
    assert sample.medians(weights)[:, 0] == pytest.approx([2, math.inf, math.nan, -math.inf, math.nan], nan_ok=True)


def test_means_and_medians_are_those_of_the_rows_repeated():
    random = np.random.default_rng(3)
    rows = pd.concat([two_groups(random.normal(size=14)), pd.DataFrame({"seed": [2], "group": [1], "m": [math.nan]})])
    sample = make_sample(rows, "m", "group", SEEDS)
    times = random.integers(0, 4, size=(50, 7))
    means, medians = sample.means(times.astype(float)), sample.medians(times.astype(float))
    for b, counts in enumerate(times):
        groups = rows.iloc[np.repeat(np.arange(len(rows)), counts[rows["seed"]])].groupby("group")["m"]
        assert means[b] == pytest.approx(groups.mean().to_numpy(), rel=1e-12)
        assert medians[b] == pytest.approx(groups.median().to_numpy(), rel=1e-12)
