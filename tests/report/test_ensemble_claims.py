"""Claims on ensembles: held against what is of the same test examples, and against thresholds of their members."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ddlab.report.claims import FAIL, NOT_ENOUGH, PASS, make_claim
from ddlab.report.figures import make_recipe
from ddlab.store.results import Results
from tests.support import SEEDS

K, NUM_TEST, NUM_DATA, NUM_MEMBERS = 2, 40, 5, 3
WIDTHS = {2: 0.4, 4: 0.8, 8: 0.5, 16: 0.2}  # the mean output's distance from the target
TRAIN_ERRORS = {2: 0.4, 4: 0.2, 8: 0.0, 16: 0.0}


def results(stored=NUM_TEST, scale=1.0):
    """Return results of networks of classes, squared loss; of the test examples the first few are stored, the easiest.

    With another scale of the targets they are no classes.
    """
    random = np.random.default_rng(0)
    trials, curves = [], []
    for width, far in WIDTHS.items():
        for d in range(NUM_DATA):
            wanted = scale * np.eye(K)[np.random.default_rng(d).integers(K, size=NUM_TEST)]
            for f in range(NUM_MEMBERS):
                harder = np.linspace(0, 1, NUM_TEST)[:, None]
                outputs = wanted + (far + 0.1 * random.normal(size=(NUM_TEST, K))) * harder
                trial = f"{width}-{d}-{f}"
                seeds = {"data.seed": d, "init_seed": f, "seed": f}
                sizes = {"num_train": 10, "num_outputs": K, "params_per_sample": 1.0, "data.num_test": NUM_TEST}
                about = {"trial_id": trial, "status": "completed", "last_step": 9, "model.width": width}
                trials.append(about | seeds | sizes | {"train.loss._target_": "ddlab.losses.MSE"})
                metrics = {"test_loss": np.square(outputs - wanted).mean(), "test_error": 0.5}
                metrics |= {"train_error": TRAIN_ERRORS[width] + 0.02 * d, "excess_risk": metrics["test_loss"]}
                stored_outputs = {"predictions": outputs[:stored].ravel(), "prediction_targets": wanted[:stored].ravel()}
                curves.append({"trial_id": trial, "step": 9, **metrics, **stored_outputs})
    return Results(
        pd.DataFrame(trials), pd.DataFrame(curves), {"name": "s", "parts": [{"seeds": SEEDS, "choices": {}, "columns": {}}]}
    )


def verdict(stored, **options):
    given = {"kind": "difference", "metric": "ensemble_loss", "between": [-1, 1], "source": "s", "where": {"model.width": 8}}
    return make_claim("c", given | options).verdict("c", stored)


@pytest.mark.parametrize(
    ("metric", "other"),
    [
        ("ensemble_loss", "test_loss"),
        ("test_loss", "ensemble_loss"),
        ("member_error", "test_error"),
        ("ensemble_risk", "excess_risk"),
    ],
)
def test_what_is_of_a_few_test_examples_is_not_held_against_all(metric, other):
    found = verdict(results(stored=15), metric=metric, less={"metric": other})
    ensemble, of_all = sorted((metric, other), key=lambda name: "_" in name and name.startswith(("test", "excess")))
    assert found.status == NOT_ENOUGH
    assert found.reason == (
        f"{ensemble} is of 15 test examples, whose predictions are stored, and {of_all} of all; instead of {of_all} take one of"
        " the same examples: member_risk, member_loss, member_error"
    )


def test_where_all_are_stored_it_is_and_members_are_the_trials_themselves():
    found = verdict(results(), metric="member_loss", less={"metric": "test_loss"}, between=[-1e-12, 1e-12])
    assert found.status == PASS
    whole = verdict(results(), less={"metric": "test_loss"})
    assert whole.measured == pytest.approx(verdict(results(), less={"metric": "member_loss"}).measured)
    assert whole.interval.kind == "95 %"


def test_a_peak_is_not_compared_with_that_on_other_examples_either():
    options = {"kind": "height_difference", "x": "model.width", "where": {}}
    assert "of 15 test examples" in verdict(results(stored=15), **options, less={"metric": "test_loss"}).reason
    assert verdict(results(stored=15), **options, less={"metric": "member_loss"}).status == PASS


def test_real_targets_have_no_test_loss_of_stored_examples():
    found = verdict(results(scale=0.5), metric="ensemble_risk", less={"metric": "test_loss"})
    assert "ensemble_risk is of 40 test examples" in found.reason


def test_a_panel_of_an_ensemble_says_on_how_many_examples():
    stored = results(stored=15)
    recipe = make_recipe("f", {"recipe": "curve", "x": "model.width", "panels": [{"metrics": ["test_loss", "ensemble_loss"]}]})
    caption = recipe.caption(recipe.frame(stored))
    assert "ensemble loss: at 15 test examples, whose predictions are stored." in caption
    alone = make_recipe("f", {"recipe": "curve", "x": "model.width", "metric": "test_loss"})
    assert "test examples" not in alone.caption(alone.frame(stored))


def test_the_peak_of_an_ensemble_is_measured_in_units_of_the_threshold_of_its_members():
    over = {"metric": "train_error", "at_most": 0.1}
    found = verdict(results(), kind="location_ratio", x="model.width", over=over, where={})
    # The mean train error is 0.04 above the given one: it crosses 0.14 / 0.2 of the way from 4 to 8.
    assert found.measured == pytest.approx(4 / (4 * 2**0.7))
    # Each draw of the data crosses at 4 * 2^(0.5 + 0.1 d): the interval over these five lies within the least and the greatest.
    assert 2**-0.9 <= found.interval.low < found.measured < found.interval.high <= 2**-0.5
    assert found.interval.kind == "95 %"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "first_crossing", "at_most": 0.5}, "metric=ensemble_loss"),
        ({"kind": "value", "metric": "test_loss", "stop_by": "ensemble_loss"}, "stop_by=ensemble_loss"),
        (
            {"kind": "location_ratio", "x": "model.width", "where": {}, "over": {"metric": "ensemble_loss", "at_most": 0.1}},
            "over.metric=ensemble_loss",
        ),
    ],
)
def test_only_what_each_trial_stores_has_steps_and_levels(options, words):
    found = verdict(results(), **options)
    assert found.outcome == f"{FAIL}: {words}: takes stored metrics only, none of an ensemble"
