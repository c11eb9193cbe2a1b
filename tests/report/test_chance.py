"""The warning of a sweep whose test errors are those of guessing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ddlab.report.chance import chance_warning
from ddlab.store.results import Results
from tests.support import SWEEP


def results_of(errors, *, classes=10, noise=0.2, status="completed"):
    """Return results of a trial of each width and seed that ends at an error, and began at 0.5."""
    trials = [
        {"trial_id": f"{width}-{seed}", "model.width": width, "seed": seed, "last_step": 9, "num_outputs": classes}
        | {"status": status, "data.label_noise": noise}
        for width, of_seeds in errors.items()
        for seed in range(len(of_seeds))
    ]
    last = np.concatenate(list(errors.values()))
    at = [
        (trial["trial_id"], step, error) for trial, end in zip(trials, last, strict=True) for step, error in ((0, 0.5), (9, end))
    ]
    return Results(pd.DataFrame(trials), pd.DataFrame(at, columns=["trial_id", "step", "test_error"]), SWEEP)


def test_a_sweep_that_guesses_at_every_setting_is_named_with_its_numbers():
    """One seed of width 2 is below chance, their mean is not."""
    warning = chance_warning(results_of({1: [0.95, 0.95], 2: [0.88, 0.93]}))
    assert warning.startswith("the mean test error is at or above chance at each of 2 settings, at best 90.5 % where guessing")
    assert "among 10 classes gives 90.0 %" in warning
    assert "at the one setting, at best 50.0 %" in chance_warning(results_of({1: [0.5]}, classes=2))


@pytest.mark.parametrize(
    ("errors", "options"),
    [
        ({1: [0.95, 0.95], 2: [0.85, 0.94]}, {}),
        ({1: [0.95]}, {"noise": 1.0}),
        ({1: [0.95]}, {"status": "pending"}),
        ({1: [0.95]}, {"status": "diverged"}),
        ({1: [np.nan]}, {}),
    ],
)
def test_another_sweep_is_not(errors, options):
    assert chance_warning(results_of(errors, **options)) == ""


def test_settings_are_held_against_the_chance_of_their_own_classes():
    """An error of 0.6 is above chance of two classes, and far below that of ten."""
    two, ten = results_of({1: [0.6]}, classes=2), results_of({1: [0.6]}, classes=10)
    ten.trials["trial_id"] = ten.curves["trial_id"] = "ten"
    both = Results(*(pd.concat([getattr(part, name) for part in (two, ten)]) for name in ("trials", "curves")), SWEEP)
    assert chance_warning(two)
    assert not chance_warning(both)


def test_of_regression_there_is_no_chance():
    results = results_of({1: [0.95]})
    losses = results.curves.rename(columns={"test_error": "test_loss"})
    assert chance_warning(Results(results.trials, losses, SWEEP)) == ""
