"""One result ahead of its time."""

from __future__ import annotations

import threading

import pytest

from ddlab.ahead import Ahead


def test_a_result_begun_ahead_is_taken_and_made_once():
    ahead, made = Ahead(), []
    ahead.start("a", lambda: made.append(threading.current_thread()) or "value")
    assert ahead.take("a", lambda: "made now") == "value"
    assert made != [threading.main_thread()]
    assert ahead.take("a", lambda: "made now") == "made now"


def test_another_key_is_made_now_and_errors_come_where_the_result_is_needed():
    ahead = Ahead()
    ahead.start("a", lambda: "value")
    assert ahead.take("b", lambda: "made now") == "made now"
    ahead.start("c", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        ahead.take("c", lambda: "made now")
