"""Statuses: completed, stopped early, diverged; rebuilding them from stored rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ddlab.errors import ConfigError
from ddlab.job.outcomes import Outcomes
from tests.support import leaves_of

NAN = float("nan")


def settings(**changes):
    return leaves_of(*(f"train.{key}={value}" for key, value in changes.items()))


def run(leaves, losses, errors=None, untrained=1.0):
    """Feed [evals, T] losses; return (outcomes, rows recorded [evals, T])."""
    losses = np.array(losses, float)
    errors = np.zeros_like(losses) if errors is None else np.array(errors, float)
    outcomes = Outcomes([leaves] * losses.shape[1], [untrained] * losses.shape[1])
    metrics = [{"train_loss": loss, "test_loss": loss, "test_error": error} for loss, error in zip(losses, errors, strict=True)]
    return outcomes, np.array([outcomes.update(10 * k, metric) for k, metric in enumerate(metrics)])


def test_a_trial_diverges_when_its_loss_is_not_finite_or_a_thousand_times_that_of_an_untrained_model():
    outcomes, recorded = run(settings(), [[1, 1, 1], [1, NAN, 999], [1, 1, 1001], [1, 1, 1]])
    assert outcomes.status.tolist() == ["completed", "diverged", "diverged"]
    assert recorded.sum(0).tolist() == [4, 2, 3]
    assert outcomes.last_step.tolist() == [30, 10, 20]


def test_a_trial_that_begins_at_a_tiny_loss_is_measured_against_an_untrained_model():
    """As one that begins at another's weights: a hiccup to the loss of a network that has learned nothing is no divergence."""
    outcomes, _ = run(settings(), [[1e-9, 1e-9], [2.3, 2301]], untrained=2.3)
    assert outcomes.status.tolist() == ["completed", "diverged"]


def test_a_trial_that_begins_at_a_huge_loss_is_measured_against_itself():
    """As one of a large initial scale, 10^4 times beyond zero outputs: it has not diverged before it began."""
    outcomes, _ = run(settings(), [[1e4, 1e4], [9e6, 1.1e7]], untrained=1.0)
    assert outcomes.status.tolist() == ["completed", "diverged"]


def test_a_trial_without_a_first_loss_diverges_at_once():
    outcomes, recorded = run(settings(), [[NAN], [1.0]])
    assert outcomes.status.tolist() == ["diverged"]
    assert recorded.sum() == 1


def test_a_trial_stops_once_its_metric_has_held_long_enough():
    train = settings(stop_metric="test_error", stop_below=0.1, stop_patience=2)
    errors = [[1, 1, 0.1], [0.1, 0.1, 0.1], [0.1, 1, 1], [0, 0.1, 1], [0, 0, 0]]
    outcomes, recorded = run(train, np.ones((5, 3)), errors)
    assert outcomes.status.tolist() == ["stopped", "stopped", "stopped"]
    assert recorded.sum(0).tolist() == [3, 5, 2]


def test_a_stop_metric_that_was_not_measured_neither_counts_nor_begins_anew():
    train = settings(stop_metric="test_error", stop_below=0.1, stop_patience=2)
    errors = [[1, 1], [NAN, NAN], [0.1, 0.1], [NAN, NAN], [NAN, 0.2], [0.1, NAN], [NAN, 0.1]]
    outcomes, recorded = run(train, np.ones((7, 2)), errors)
    assert outcomes.status.tolist() == ["stopped", "completed"]
    assert recorded.sum(0).tolist() == [6, 7]


def test_an_unknown_stop_metric_is_named():
    with pytest.raises(ConfigError, match="did you mean 'test_error'"):
        run(settings(stop_metric="test_eror"), [[1.0]])


def test_replaying_the_stored_rows_gives_the_same_state():
    train = settings(stop_metric="test_error", stop_below=0.1, stop_patience=3)
    random = np.random.default_rng(0)
    losses, errors = random.uniform(0.5, 2, (12, 6)), random.choice([0, 1], (12, 6), p=[0.8, 0.2])
    losses[5, 2] = NAN
    outcomes, recorded = run(train, losses, errors)
    rows = [
        {
            "trial_id": f"t{t}",
            "step": 10 * k,
            "train_loss": losses[k, t],
            "test_loss": losses[k, t],
            "test_error": errors[k, t],
        }
        for k, t in zip(*np.nonzero(recorded), strict=True)
    ]
    again = Outcomes([train] * 6, [1.0] * 6)
    index = {f"t{t}": t for t in range(6)}
    again.replay(index, pd.DataFrame(rows))
    assert again.status.tolist() == outcomes.status.tolist()
    assert again.alive.tolist() == outcomes.alive.tolist()
    assert again.last_step.tolist() == outcomes.last_step.tolist()
    for k in (12, 13):  # how long each metric has held shows in when the trials stop
        holds = {"train_loss": np.ones(6), "test_loss": np.ones(6), "test_error": np.zeros(6)}
        np.testing.assert_array_equal(again.update(10 * k, holds), outcomes.update(10 * k, holds))
        assert again.status.tolist() == outcomes.status.tolist()
    assert len(set(again.last_step)) > 2


def test_a_metric_that_just_reaches_the_threshold_holds_live_and_when_it_is_read_again():
    train = settings(stop_metric="test_error", stop_below=0.07, stop_patience=1)
    outcomes = Outcomes([train], [1.0])
    one, exact = np.ones(1, np.float32), np.full(1, 0.07, np.float32)
    rows = []
    for step, error in ((0, one), (10, exact)):
        assert outcomes.update(step, {"train_loss": one, "test_loss": one, "test_error": error}).all()
        rows.append({"trial_id": "a", "step": step, "train_loss": one[0], "test_loss": one[0], "test_error": error[0]})
    again = Outcomes([train], [1.0])
    again.replay({"a": 0}, pd.DataFrame(rows))
    assert outcomes.status.tolist() == again.status.tolist() == ["stopped"]


def test_trials_of_a_pack_may_end_at_other_thresholds():
    limits = ((0.1, 1), (0.5, 1), (0.5, 2))
    trials = [settings(stop_metric="test_error", stop_below=below, stop_patience=patience) for below, patience in limits]
    factors = [settings(divergence_factor=factor) for factor in (2.0, 100.0)]
    outcomes, ones = Outcomes(trials, [1.0] * 3), np.ones(3)
    for step in (0, 10):
        outcomes.update(step, {"train_loss": ones, "test_loss": ones, "test_error": 0.4 * ones})
    assert outcomes.status.tolist() == ["completed", "stopped", "stopped"]
    assert outcomes.last_step.tolist() == [10, 0, 10]
    outcomes = Outcomes(factors, [1.0] * 2)
    outcomes.update(10, {"train_loss": np.full(2, 50.0), "test_loss": np.ones(2)})
    assert outcomes.status.tolist() == ["diverged", "completed"]
