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

# Kind, options, data that show the claim, the number there; data that must fail it.
CASES = {
    "peak_location": (CURVE | {"between": [3, 5]}, PEAK, 4.0, {1: 4.0, 2: 9.0, 4: 2.0, 8: 1.0}),
    "peak_height": (CURVE | {"between": [4, None]}, PEAK, 4.5, {1: 4.0, 2: 3.0, 4: 3.5, 8: 1.0}),
    "second_over_first": (CURVE | {"between": [None, 0.6]}, PEAK, 1 / 2, {1: 4.0, 2: 2.0, 4: 9.0, 8: 3.0}),
    "second_descent": (CURVE | {"between": [0.8, 1]}, PEAK, 1 - 1 / 9, {1: 4.0, 2: 2.0, 4: 9.0, 8: 8.0}),
    "classical_minimum": (CURVE | {"between": [2, 2]}, PEAK, 2.0, {1: 2.0, 2: 4.0, 4: 9.0, 8: 1.0}),
    "last_over_least": (CURVE | {"between": [2, None]}, RISING, 4.0, FALLING),
    "monotone": (CURVE | {"between": [0, 0.02]}, FALLING, 0.0, {1: 8.0, 2: 4.0, 4: 4.2, 8: 1.0}),
    "slope": (CURVE | {"between": [-1.02, -0.98]}, FALLING, -1.0, {1: 8.0, 2: 4.0, 4: 2.0, 8: 2.0}),
    "value": ({"where": {"model.width": 4}, "between": [8, 10]}, PEAK, 9.0, FALLING),
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


@pytest.mark.parametrize("kind", ["peak_location", "peak_height", "second_descent", "second_over_first", "classical_minimum"])
@pytest.mark.parametrize("curve", [FALLING, RISING])
def test_a_curve_without_a_peak_fails_what_is_claimed_of_one(kind, curve):
    found = verdict(results_of(curve), kind=kind, x="model.width", between=[None, 10**6])
    assert math.isnan(found.measured)
    assert found.status == FAIL
    assert found.outcome == "fail: there is none"


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
    for kind, (options, values, _, _) in CASES.items():
        results = results_of(values)
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
    assert set(KINDS) == {*CASES, *OF_STEPS, "matches_theory"}
    main(["verify", "--help"])
    printed = capsys.readouterr().out
    assert all(f"\n  {kind} " in printed for kind in KINDS)
