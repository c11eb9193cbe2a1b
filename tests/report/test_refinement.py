"""Which values a refinement proposes, for crossings made up by hand."""

from __future__ import annotations

import math

import pytest

from ddlab.errors import ConfigError
from ddlab.report.intervals import Interval
from ddlab.report.isotonic import Crossing
from ddlab.report.refinement import make_refinement

OPTIONS = {"x": "data.num_train", "at_most": 0.1}
KNOWN = Crossing(100.0, "", Interval(96.0, 105.0, "95 %"), (80.0, 160.0))
WIDE = Crossing(100.0, "", Interval(90.0, 110.0, "95 %"), (80.0, 160.0))


def new_values(crossing, **options):
    return make_refinement(OPTIONS | options).new_values(crossing)


def test_new_values_are_evenly_spaced_in_log_x_between_the_points_beside_the_crossing():
    assert new_values(WIDE) == [round(80 * 2 ** (k / 5)) for k in (1, 2, 3, 4)]
    assert new_values(WIDE, points=1) == [113]


def test_an_interval_beyond_the_points_beside_the_crossing_is_covered():
    wider = Crossing(100.0, "", Interval(40.0, 320.0, "95 %"), (80.0, 160.0))
    assert new_values(wider, points=2) == [80, 160]


def test_what_is_known_well_enough_needs_none():
    assert new_values(KNOWN) == []
    assert new_values(KNOWN, interval=0.05) != []


@pytest.mark.parametrize("beyond", ["<", ">"])
def test_what_lies_beyond_all_points_needs_none(beyond):
    assert new_values(Crossing(math.nan, beyond, Interval(), (10.0, 160.0))) == []
    assert new_values(Crossing(math.nan, "", Interval(), (10.0, 160.0))) == []


def test_of_a_single_seed_it_lies_between_the_points_beside_it():
    assert new_values(Crossing(100.0, "", Interval(), (80.0, 160.0)), points=1) == [113]
    assert new_values(Crossing(100.0, "", Interval(), (99.0, 102.0)), points=1) == []


def test_values_lie_strictly_inside_and_are_whole():
    narrow = Crossing(10.5, "", Interval(), (9.0, 11.0))
    assert new_values(narrow) == [10]
    assert new_values(Crossing(2.5, "", Interval(), (2.0, 3.0))) == []


def test_new_values_may_have_to_be_multiples():
    assert new_values(WIDE, multiple=16) == [96, 112, 128, 144]
    assert new_values(WIDE, multiple=100) == [100]
    assert new_values(WIDE, multiple=1000) == []


def test_without_options_or_points_there_is_no_refinement():
    assert make_refinement({}) is None
    assert make_refinement(OPTIONS | {"points": 0}) is None


def test_an_option_that_is_null_is_shown_as_it_is_written():
    with pytest.raises(ConfigError, match=r"^refine\.x=null: must be text$"):
        make_refinement(OPTIONS | {"x": None})


def test_a_crossing_that_is_not_in_the_interval_of_the_seeds_that_cross_lies_between_the_points_beside_it():
    """At 1000 two of three seeds still learn: the mean crosses at 336, and the one seed that does at 178."""
    one_of_three = Crossing(336.0, "", Interval(177.8, 177.8, "range of 3 seeds; none in 2 of 3 seeds"), (100.0, 1000.0))
    assert new_values(one_of_three, points=3) == [178, 316, 562]
