"""Claims: each kind passes on data that show it and fails on data that do not."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from ddlab.cli import main
from ddlab.report.claims import FAIL, KINDS, NOT_ENOUGH, PASS, make_claim
from ddlab.report.claims.curves import Curves
from ddlab.report.sample import make_sample
from ddlab.store.results import Results
from tests.support import SWEEP

SEEDS = 4
SPREAD = np.linspace(-0.03, 0.03, SEEDS)


def results_of(values, *, x="model.width", steps=(100,), **columns):
    """Return stored results: a metric `loss` of each x (and step), the seeds spread around it by up to 3 %.

    Args:
        values: x -> the value, or those at each step.
        x: a column of the trials.
        steps: eval points.
        columns: more columns of the trials, x -> value.
    """
    trials, curves = [], []
    for k, (at, value) in enumerate(values.items()):
        for seed in range(SEEDS):
            trial = f"{k}-{seed}"
            own = {name: column[at] for name, column in columns.items()}
            sizes = {"num_train": 10, "num_outputs": 1, "params_per_sample": 1.0}
            trials.append({"trial_id": trial, "seed": seed, "status": "completed", "last_step": steps[-1], x: at, **sizes, **own})
            for step, there in zip(steps, np.broadcast_to(value, len(steps)), strict=True):
                curves.append({"trial_id": trial, "step": step, "loss": there * (1 + SPREAD[seed])})
    return Results(pd.DataFrame(trials), pd.DataFrame(curves), SWEEP)


def verdict(results, **options):
    return make_claim("c", {"metric": "loss", "source": "nobody", **options}).verdict("c", results)


PEAK = {1: 4.0, 2: 2.0, 4: 9.0, 8: 3.0, 16: 1.0}
FALLING = {1: 8.0, 2: 4.0, 4: 2.0, 8: 1.0}
RISING = {1: 1.0, 2: 2.0, 4: 4.0}

CURVE = {"x": "model.width"}
AT_1_AND_16 = {"order": [{"model.width": 1}, {"model.width": 16}]}
LESS_AT_16 = {"where": {"model.width": 1}, "less": {"where": {"model.width": 16}}}

# Kind, options, data that show the claim, the number there; data that must fail it.
CASES = {
    "peak_location": (CURVE | {"between": [3, 5]}, PEAK, 4.0, {1: 4.0, 2: 9.0, 4: 2.0, 8: 1.0}),
    "peak_height": (CURVE | {"between": [4, None]}, PEAK, 4.5, {1: 4.0, 2: 3.0, 4: 3.5, 8: 1.0}),
    "prominence": (CURVE | {"between": [5, None]}, PEAK, 7.0, FALLING),
    "second_over_first": (CURVE | {"between": [None, 0.6]}, PEAK, 1 / 2, {1: 4.0, 2: 2.0, 4: 9.0, 8: 3.0}),
    "second_descent": (CURVE | {"between": [0.8, 1]}, PEAK, 1 - 1 / 9, {1: 4.0, 2: 2.0, 4: 9.0, 8: 8.0}),
    "classical_minimum": (CURVE | {"between": [2, 2]}, PEAK, 2.0, {1: 2.0, 2: 4.0, 4: 9.0, 8: 1.0}),
    "last_over_least": (CURVE | {"between": [2, None]}, RISING, 4.0, FALLING),
    "monotone": (CURVE | {"between": [0, 0.02]}, FALLING, 0.0, {1: 8.0, 2: 4.0, 4: 4.2, 8: 1.0}),
    "slope": (CURVE | {"between": [-1.02, -0.98]}, FALLING, -1.0, {1: 8.0, 2: 4.0, 4: 2.0, 8: 2.0}),
    "value": ({"where": {"model.width": 4}, "between": [8, 10]}, PEAK, 9.0, FALLING),
    "difference": (LESS_AT_16 | {"between": [2, None]}, PEAK, 3.0, {1: 4.0, 16: 3.0}),
    "share": (
        {"order": [{"model.width": width} for width in (1, 2, 16)], "between": [0.6, 0.7]},
        PEAK,
        2 / 3,
        {1: 4.0, 2: 3.9, 16: 1.0},
    ),
    "ratio": (AT_1_AND_16 | {"between": [None, 0.5]}, PEAK, 0.25, {1: 4.0, 16: 3.0}),
    "ordering": (
        {"order": [{"model.width": 1}, {"model.width": 2}, {"model.width": 4}], "between": [1, None]},
        RISING,
        2.0,
        {1: 1.0, 2: 4.0, 4: 2.0},
    ),
}


@pytest.mark.parametrize("kind", CASES)
def test_a_kind_measures_its_number_and_can_fail(kind):
    options, shows, number, fails = CASES[kind]
    good = verdict(results_of(shows), kind=kind, **options)
    assert good.status == PASS
    assert good.measured == pytest.approx(number)
    assert verdict(results_of(fails), kind=kind, **options).status == FAIL


@pytest.mark.parametrize(
    ("after", "number"), [((1.0, 2.0, 4.0, 8.0), 1.0), ((2.0, 1.0, 8.0, 4.0), 0.6), ((8.0, 4.0, 2.0, 1.0), -1.0)]
)
def test_a_rank_correlation_is_of_the_same_groups_on_two_sides(after, number):
    """Spearman: 1 - 6 sum d^2 / (n (n^2 - 1)), d the differences of the ranks of n = 4 groups."""
    values = dict(enumerate([*(1.0, 20.0, 300.0, 4000.0), *after]))
    groups = results_of(
        values, side={k: "before" if k < 4 else "after" for k in values}, method={k: "abcd"[k % 4] for k in values}
    )
    order, sides = [{"method": method} for method in "abcd"], [{"side": "before"}, {"side": "after"}]
    found = verdict(groups, kind="rank_correlation", order=order, sides=sides, between=[number - 1e-9, number + 1e-9])
    assert found.measured == pytest.approx(number)
    assert found.status == PASS


@pytest.mark.parametrize("kind", ["peak_location", "peak_height", "second_descent", "second_over_first", "classical_minimum"])
@pytest.mark.parametrize("curve", [FALLING, RISING])
def test_a_curve_without_a_peak_fails_what_is_claimed_of_one(kind, curve):
    found = verdict(results_of(curve), kind=kind, x="model.width", between=[None, 10**6])
    assert math.isnan(found.measured)
    assert found.status == FAIL
    assert found.outcome == "fail: there is none"


@pytest.mark.parametrize("curve", [FALLING, RISING])
def test_a_curve_without_a_peak_rises_by_nothing(curve):
    found = verdict(results_of(curve), kind="prominence", x="model.width", between=[None, 0.01])
    assert (found.status, found.measured) == (PASS, 0.0)


def test_a_curve_with_a_gap_has_no_prominence():
    found = verdict(results_of({1: 4.0, 2: math.nan, 4: 9.0}), kind="prominence", x="model.width", between=[None, 100])
    assert found.outcome == "fail: there is none"


def decayed(*curves):
    """Return results of several curves, told apart by their decay: 0, 1, ..."""
    parts = [results_of(curve) for curve in curves]
    trials = [part.trials.assign(trial_id=f"{k}:" + part.trials["trial_id"], decay=k) for k, part in enumerate(parts)]
    metrics = [part.curves.assign(trial_id=f"{k}:" + part.curves["trial_id"]) for k, part in enumerate(parts)]
    return Results(pd.concat(trials, ignore_index=True), pd.concat(metrics, ignore_index=True), SWEEP)


OF_DECAY = {"kind": "height_difference", **CURVE, "where": {"decay": 1}, "less": {"where": {"decay": 0}}}


@pytest.mark.parametrize(
    ("curve", "difference"), [({1: 4.0, 2: 2.0, 4: 5.0, 8: 3.0, 16: 1.0}, -4.0), ({1: 5, 2: 4, 4: 3, 8: 2, 16: 1}, -7.0)]
)
def test_a_peak_is_lower_than_another_or_has_gone(curve, difference):
    found = verdict(decayed(PEAK, curve), **OF_DECAY, between=[None, -3])
    assert (found.status, found.measured) == (PASS, pytest.approx(difference))
    assert found.says.endswith("above the minima beside it, less that at decay 0 (decay 1)")
    assert verdict(decayed(curve, PEAK), **OF_DECAY, between=[None, -3]).measured == pytest.approx(-difference)


def test_where_neither_curve_has_a_peak_nothing_is_lower():
    found = verdict(decayed({1: 5.0, 2: 4.0, 4: 3.0}, {1: 3.0, 2: 2.0, 4: 1.0}), **OF_DECAY, between=[None, 0])
    assert found.outcome == "fail: there is none"


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "difference", **LESS_AT_16},
        {"kind": "ratio", **AT_1_AND_16},
        {"kind": "prominence", **CURVE},
        {"kind": "height_difference", **CURVE, "where": {"decay": 1}, "less": {"where": {"decay": 0}}},
    ],
)
def test_of_infinite_values_there_is_no_number_nor_a_warning(options):
    infinite = dict.fromkeys((1, 2, 16), math.inf)
    results = decayed(infinite, infinite) if options["kind"] == "height_difference" else results_of(infinite)
    assert verdict(results, **options, between=[-1, 1]).outcome == "fail: there is none"


def test_a_seed_whose_metric_was_not_measured_does_not_count():
    results = results_of(PEAK)
    unknown = results.trials.loc[results.trials["seed"] > 0, "trial_id"]
    results.curves.loc[results.curves["trial_id"].isin(unknown), "loss"] = math.nan
    found = verdict(results, kind="value", where={"model.width": 4}, between=[0, 99], seeds=2)
    assert (found.status, found.reason) == (NOT_ENOUGH, "1 of 2 seeds")


def test_the_peaks_of_two_metrics_of_the_same_trials_are_compared():
    results = results_of(PEAK)
    results.curves["other"] = 0.5 * results.curves["loss"]
    found = verdict(results, kind="height_difference", **CURVE, metric="other", less={"metric": "loss"}, between=[-3.6, -3.4])
    assert (found.status, found.measured) == (PASS, pytest.approx(-3.5))
    assert found.says == "height of the peak of other along width above the minima beside it, less that of loss"


def test_two_curves_are_of_the_same_points():
    found = verdict(decayed(PEAK, {1: 4.0, 2: 3.0, 8: 1.0}), **OF_DECAY, between=[None, 0])
    assert (found.status, found.reason) == (NOT_ENOUGH, "the two curves have other values of model.width")


def test_a_seed_counts_for_both_sides_of_a_difference_at_once():
    """Of every seed the first is greater by 1, however much the seeds themselves differ."""
    results = decayed({1: 0.0, 2: 0.0}, {1: 1.0, 2: 1.0})
    of_seed = results.curves["trial_id"].map(results.trials.set_index("trial_id")["seed"])
    results.curves["loss"] = results.curves["loss"].round() + 10.0**of_seed
    options = {"kind": "difference", "where": {"decay": 1, "model.width": 2}, "less": {"where": {"decay": 0}}, "between": [1, 1]}
    found = verdict(results, **options)
    assert (found.status, found.interval.low, found.interval.high) == (PASS, 1.0, 1.0)


def test_one_metric_less_another_of_the_same_trials():
    results = results_of({4: 9.0})
    results.curves["other"] = 2.0
    found = verdict(results, kind="difference", less={"metric": "other"}, between=[6.9, 7.1])
    assert (found.measured, found.says) == (pytest.approx(7.0), "loss less other")
    turned = verdict(results, kind="difference", metric="other", less={"metric": "loss"}, between=[None, 0])
    assert turned.measured == pytest.approx(-7.0)


FALLS_AND_RISES = {"loss": [4.0, 2.0, 2.0, 5.0], "held_out": [9.0, 3.0, 1.0, 1.0]}


def measured_along(**metrics):
    """Return results of one setting at steps 1, 2, 3, 4, each of its metrics the same for all seeds."""
    results = results_of({4: [1.0] * 4}, steps=(1, 2, 3, 4))
    return Results(results.trials, results.curves.assign(**{name: values * SEEDS for name, values in metrics.items()}), SWEEP)


@pytest.mark.parametrize(("stop_by", "value"), [(None, 5.0), ("loss", 2.0), ("held_out", 2.0)])
def test_trials_are_stopped_where_a_metric_is_least(stop_by, value):
    found = verdict(measured_along(**FALLS_AND_RISES), kind="value", stop_by=stop_by, between=[value, value])
    assert found.status == PASS
    assert found.says == ("loss" if stop_by is None else f"loss at the least {stop_by.replace('_', ' ')}")


def test_of_equal_minima_the_first_is_taken():
    metrics = {"loss": [1.0, 2.0, 3.0, 4.0], "held_out": [9.0, 5.0, 7.0, 5.0]}
    assert verdict(measured_along(**metrics), kind="value", stop_by="held_out", between=[2, 2]).status == PASS


def test_it_is_said_when_the_test_set_chose():
    results = measured_along(loss=FALLS_AND_RISES["loss"], test_error=FALLS_AND_RISES["held_out"])
    found = verdict(results, kind="value", stop_by="test_error", between=[2, 2])
    assert (found.status, found.says) == (PASS, "loss at the least test error, chosen on the test set")


def test_early_stopping_is_held_against_the_last_step():
    results = measured_along(**FALLS_AND_RISES)
    found = verdict(results, kind="difference", stop_by="held_out", less={"stop_by": None}, between=[-3, -3])
    assert (found.status, found.says) == (PASS, "loss at the least held out less loss at the last step")


def test_a_metric_that_cannot_stop_says_why():
    results = measured_along(**FALLS_AND_RISES)
    found = verdict(results, kind="value", stop_by="validation_error", between=[0, 1])
    assert found.outcome.startswith("fail: stop_by=validation_error: no such column. known: held_out")
    results.curves.loc[results.curves["trial_id"] == "0-1", "held_out"] = math.nan
    found = verdict(results, kind="value", stop_by="held_out", between=[0, 9])
    assert (found.status, found.reason) == (NOT_ENOUGH, "stop_by=held_out: was never measured in 1 trials")


def test_a_metric_that_was_not_measured_where_trials_stop_says_so():
    results = measured_along(loss=[4.0, 2.0, math.nan, 5.0], held_out=FALLS_AND_RISES["held_out"])
    found = verdict(results, kind="value", stop_by="held_out", between=[0, 9])
    assert found.status == NOT_ENOUGH
    assert "was not measured where 4 trials stopped early" in found.reason


def test_a_slope_through_a_zero_is_none():
    found = verdict(results_of({1: 0.5, 2: 0.4, 4: 0.0}), kind="slope", **CURVE, between=[None, -1])
    assert found.outcome == "fail: there is none"


def test_a_rising_trend_can_be_claimed():
    assert verdict(results_of(RISING), kind="monotone", trend="rising", **CURVE, between=[0, 0.02]).status == PASS
    found = verdict(results_of(PEAK), kind="monotone", trend="rising", **CURVE, between=[0, 0.02])
    assert (found.status, found.measured) == (FAIL, pytest.approx(2 / 3))


def theory_results(factor):
    """Widths 2, 4, 6 of D = 10 at n = 20: the theory's risk times a factor."""
    from ddlab import theory

    widths = [2, 4, 6]
    risks = {p: factor * float(theory.ridgeless_exact(p, 20, 1.0, 0.5)) for p in widths}
    results = results_of(risks, **{"data.num_relevant": dict(zip(widths, widths, strict=True))})
    assumed = {
        "data.eigenvalues": None,
        "data.coefficients": None,
        "data.test_cutoff": 0.0,
        "optimizer.cutoff": 0.0,
        "model.init_scale": 0.0,
    }
    targets = {"data": "data.Gaussian", "model": "models.Linear", "optimizer": "optimizers.Ridge"}
    assumed |= {"optimizer.weight_decay": 0.0, **{f"{key}._target_": f"ddlab.{name}" for key, name in targets.items()}}
    fixed = {"data.num_features": 10, "data.signal": 1.0, "data.noise_variance": 0.5, "num_train": 20, **assumed}
    return Results(results.trials.assign(**fixed), results.curves.rename(columns={"loss": "excess_risk"}), SWEEP)


@pytest.mark.parametrize(("factor", "status"), [(1.0, PASS), (1.1, FAIL)])
def test_a_match_with_theory_can_fail(factor, status):
    options = {"kind": "matches_theory", "theory": "ridgeless", "x": "model.width", "between": [0, 0.05]}
    found = verdict(theory_results(factor), metric="excess_risk", **options)
    assert found.status == status
    assert found.measured == pytest.approx(factor - 1, abs=1e-12)


def test_the_best_of_a_column_is_taken_at_each_point():
    """Penalties 0 and 1 give 9, 1, 5 and 4, 2, 3: the best are 4, 1, 3."""
    first, second = results_of({1: 9.0, 2: 1.0, 4: 5.0}), results_of({1: 4.0, 2: 2.0, 4: 3.0})
    parts = []
    for k, part in enumerate((first, second)):
        rename = lambda frame, k=k: frame.assign(trial_id=frame["trial_id"] + f"/{k}")  # noqa: E731
        parts.append((rename(part.trials).assign(penalty=float(k)), rename(part.curves)))
    results = Results(*(pd.concat(frames, ignore_index=True) for frames in zip(*parts, strict=True)), SWEEP)
    found = verdict(results, kind="monotone", x="model.width", best_over="penalty", between=[None, 10])
    assert found.measured == pytest.approx(2.0)  # from 1 to 3
    mixed = verdict(results, kind="monotone", x="model.width", between=[None, 10])
    assert mixed.status == NOT_ENOUGH
    assert "penalty" in mixed.reason


def test_one_seed_has_no_interval():
    results = results_of({4: 9.0})
    alone = Results(results.trials[results.trials["seed"] == 0], results.curves, SWEEP)
    found = verdict(alone, kind="value", between=[8, 10])
    assert found.status == PASS
    assert found.cells == ("8.73", "", "8 to 10")


def test_not_enough_data_says_why():
    found = verdict(results_of(PEAK), kind="value", where={"model.width": 4}, between=[0, 99], seeds=5)
    assert (found.status, found.reason) == (NOT_ENOUGH, "4 of 5 seeds")
    found = verdict(results_of({1: 1.0, 2: 2.0}), kind="peak_location", x="model.width", between=[0, 9])
    assert (found.status, found.reason) == (NOT_ENOUGH, "a curve needs three values of model.width")
    pending = results_of(PEAK)
    pending.trials.loc[0, "status"] = "pending"
    found = verdict(pending, kind="value", where={"model.width": 1}, between=[0, 99])
    assert (found.status, found.reason) == (NOT_ENOUGH, "1 trials are pending")
    assert verdict(pending, kind="value", where={"model.width": 4}, between=[0, 99]).status == PASS


def test_a_claim_may_select_by_the_ratio_that_figures_draw():
    chosen = {"where": {"params_per_sample_output": 1.0, "model.width": 4}, "between": [8, 10]}
    assert verdict(results_of(PEAK), kind="value", **chosen).status == PASS


@pytest.mark.parametrize("mistaken", [{"metric": "lost"}, {"where": {"model.with": 4}}])
def test_a_column_that_does_not_exist_fails(mistaken):
    found = verdict(results_of(PEAK), **{"kind": "value", "where": {"model.width": 4}, "between": [0, 9], **mistaken})
    assert found.status == FAIL
    assert "did you mean" in found.reason


def test_a_trial_that_stopped_early_keeps_its_last_value():
    """Two of four seeds stop at step 10, at the value that the others have there, and never get worse."""
    results = results_of({1: [3.0, 2.0, 1.0, 3.0]}, steps=(0, 5, 10, 20))
    short = results.trials["trial_id"].isin(["0-2", "0-3"])
    results.trials.loc[short, ["status", "last_step"]] = ["stopped", 10]
    gone = results.curves["trial_id"].isin(["0-2", "0-3"]) & (results.curves["step"] > 10)
    found = verdict(Results(results.trials, results.curves[~gone], SWEEP), kind="last_over_least", x="step", between=[0, 9])
    steps = {step: results.curves[results.curves["step"] == step].set_index("trial_id")["loss"] for step in (10, 20)}
    last = [steps[20]["0-0"], steps[20]["0-1"], steps[10]["0-2"], steps[10]["0-3"]]
    assert found.measured == pytest.approx(np.mean(last) / steps[10].mean())


def test_a_spike_at_the_end_is_left_out_by_the_median_of_the_last_points():
    results = results_of({1: [4.0, 2.0, 3.0, 3.0, 9.0]}, steps=(1, 2, 4, 8, 16))
    options = {"kind": "last_over_least", "x": "step", "between": [0, 2]}
    spiked, robust = (verdict(results, points=points, **options) for points in (1, 3))
    assert (spiked.status, robust.status) == (FAIL, PASS)
    assert (spiked.measured, robust.measured) == pytest.approx((4.5, 1.5))
    assert robust.says == "median of the last 3 points of loss over the least along optimizer steps"


def test_trials_that_are_missing_or_have_diverged_are_not_passed_over():
    for kind in ("monotone", "peak_height"):
        options = {"kind": kind, "x": "model.width", "between": [0, 10]}
        diverged = results_of(PEAK)
        diverged.trials.loc[diverged.trials["model.width"] == 4, "status"] = "diverged"
        found = verdict(diverged, **options)
        assert (found.status, found.reason) == (NOT_ENOUGH, "4 trials have diverged")
        whole = results_of(PEAK)
        torn = Results(whole.trials, whole.curves[~whole.curves["trial_id"].str.startswith("2-")], SWEEP)
        found = verdict(torn, **options)
        assert (found.status, found.reason) == (NOT_ENOUGH, "the last eval point of 4 trials is missing or damaged")


def test_the_seeds_are_counted_where_they_are_fewest():
    whole = results_of(PEAK)
    few = whole.trials[(whole.trials["model.width"] != 4) | (whole.trials["seed"] == 0)]
    found = verdict(Results(few, whole.curves, SWEEP), kind="peak_location", x="model.width", between=[3, 5], seeds=4)
    assert (found.status, found.reason) == (NOT_ENOUGH, "1 of 4 seeds")


@pytest.mark.parametrize(("means", "number"), [({1: 8.0, 2: math.nan, 4: 9.0}, math.nan), ({1: 1.0, 2: 0.0, 4: 5.0}, math.inf)])
def test_a_trend_with_a_gap_or_from_zero_does_not_pass(means, number):
    found = verdict(results_of(means), kind="monotone", x="model.width", between=[0, 0.02])
    assert found.measured == pytest.approx(number, nan_ok=True)
    assert found.status == FAIL


@pytest.mark.parametrize(
    ("means", "peak"),
    [
        ([10, 4, 3, 6, 2], 3),
        ([1, 5, 0.1, 4.5, 1], 1),
        ([3, 2, 1], None),
        ([1, 2, 3], None),
        ([1, 3, 1, 9, 8.9], 1),
        ([2.0], None),
    ],
)
def test_the_most_prominent_peak_stands_out_on_both_sides(means, peak):
    curves = Curves(np.arange(len(means)), np.array([means, means], float))
    assert curves.peak.tolist() == [-1 if peak is None else peak] * 2


def test_a_number_is_that_of_each_weighting_of_the_seeds():
    """Of every kind: the number of seeds 0 and 2, counted twice and once, is that of the rows so repeated."""
    cases = {kind: (options, results_of(values)) for kind, (options, values, _, _) in CASES.items()}
    of_decay = {**OF_DECAY, "between": [None, 0]}
    for kind, (options, results) in [*cases.items(), ("height_difference", (of_decay, decayed(PEAK, {**PEAK, 4: 5.0})))]:
        results.curves["loss"] *= np.random.default_rng(0).uniform(0.9, 1.1, len(results.curves))
        claim = make_claim("c", {"kind": kind, "metric": "loss", "source": "nobody", **options})
        sample = make_sample(claim.rows(results), "loss", claim.point, results.seeds)
        parts = [results.trials[results.trials["seed"] == seed].assign(seed=k) for k, seed in enumerate((0, 0, 2))]
        trials = pd.concat([part.assign(trial_id=f"{k}:" + part["trial_id"]) for k, part in enumerate(parts)])
        curves = pd.concat([results.curves.assign(trial_id=f"{k}:" + results.curves["trial_id"]) for k in range(3)])
        repeated = claim.verdict("c", Results(trials, curves, SWEEP))
        number = claim.numbers(sample, np.array([[1.0, 1, 1, 1], [2, 0, 1, 0]]))
        assert number == pytest.approx([claim.verdict("c", results).measured, repeated.measured], rel=1e-12)


OF_STEPS = {"first_crossing", "delay", "grokking", "reached", "leads", "value_at", "plateau"}  # tests/report/test_step_claims.py


def test_every_kind_is_tested_and_explained(capsys):
    assert set(KINDS) == {*CASES, *OF_STEPS, "matches_theory", "height_difference", "location_ratio", "rank_correlation"}
    main(["verify", "--help"])
    printed = capsys.readouterr().out
    assert all(f"\n  {kind} " in printed for kind in KINDS)


def test_a_seed_that_makes_two_sides_differ_tells_no_draws_apart():
    """The same trials on other wrong labels: seeds are paired, and the labels' own seed is none of them."""
    results = results_of({1: 4.0, 16: 3.0}, **{"data.noise_seed": {1: 0, 16: 1}})
    sweep = {"parts": [{**SWEEP["parts"][0], "seeds": ["seed", "data.noise_seed"]}]}
    found = verdict(Results(results.trials, results.curves, sweep), kind="difference", **LESS_AT_16, between=[0, 2])
    assert found.measured == pytest.approx(1)
    assert str(found.interval) == "0.97 to 1.03 (range of 4 seeds)"
