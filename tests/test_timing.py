"""The split of the devices' time into steps and evaluation."""

from __future__ import annotations

import pytest

from ddlab.training.timing import Timing

SEGMENTS = [(0, 4), (1, 4), (3, 4), (10, 4), (40, 2), (100, 1)]


def test_seconds_per_step_and_per_evaluation_are_found_again():
    timing = Timing()
    for steps, tiles in SEGMENTS:
        timing.add(tiles * (0.01 * steps + 0.5), steps, tiles, trials=8 * tiles)
    stepping = sum(tiles * 0.01 * steps for steps, tiles in SEGMENTS)
    about = timing.about()
    assert about["step_seconds"] == pytest.approx(stepping)
    assert about["eval_seconds"] == pytest.approx(sum(tiles * 0.5 for _, tiles in SEGMENTS))
    assert about["trial_steps"] == sum(8 * tiles * steps for steps, tiles in SEGMENTS)


def test_equal_segments_count_as_evaluation_what_the_first_took_without_a_step():
    timing = Timing(run=10.0)
    timing.add(0.5, 0, 1, 1)
    for _ in range(5):
        timing.add(1.5, 100, 1, 1)
    assert timing.about()["step_seconds"] == pytest.approx(5.0)
    assert timing.about()["eval_seconds"] == pytest.approx(3.0)
    assert timing.about()["host_seconds"] == pytest.approx(2.0)


def test_where_the_devices_may_have_waited_for_the_host_their_time_is_that_of_the_segments_before():
    timing = Timing(run=12.0)
    for steps in (0, 10, 20):
        timing.add(0.1 * steps + 0.5, steps, 1, 1)
    assert timing.add(7.0, 10, 1, 1, waited=False) == pytest.approx(1.5)
    assert timing.add(1.0, 10, 1, 1, waited=False) == pytest.approx(1.0)
    about = timing.about()
    assert about["host_seconds"] == pytest.approx(12 - (0.5 + 1.5 + 2.5 + 1.5 + 1.0))
    assert about["trial_steps"] == 50


def test_a_pack_goes_on_with_the_sums_it_had():
    whole, first = Timing(), Timing()
    for index, (steps, tiles) in enumerate(SEGMENTS):
        whole.add(0.1 * index, steps, tiles, 3)
        if index == 3:
            first = Timing(**first.sums())
        first.add(0.1 * index, steps, tiles, 3)
    assert first.about() == whole.about()


def test_nothing_run_is_nothing_spent():
    assert Timing().about() == dict.fromkeys(("run_seconds", "step_seconds", "eval_seconds", "host_seconds", "trial_steps"), 0)
