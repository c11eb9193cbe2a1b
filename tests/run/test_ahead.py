"""One result ahead of its time."""

from __future__ import annotations

import threading

import pandas as pd
import pytest

import ddlab.training.run
from ddlab.cli import main
from ddlab.errors import Interrupted
from ddlab.run.ahead import Ahead
from tests.support import curves

pytestmark = pytest.mark.usefixtures("fast_packs")


def test_a_result_begun_ahead_is_taken_and_made_once():
    ahead, made = Ahead(), []
    ahead.start("a", lambda: made.append(threading.current_thread()) or "value")
    assert ahead.take("a", lambda: "made now") == "value"
    assert made != [threading.main_thread()]
    assert ahead.take("a", lambda: "made now") == "made now"


def test_another_key_is_made_now():
    ahead = Ahead()
    ahead.start("a", lambda: "value")
    assert ahead.take("b", lambda: "made now") == "made now"


def test_what_failed_ahead_is_made_when_it_is_needed_and_its_error_comes_then():
    ahead, results = Ahead(), iter([ZeroDivisionError, "value", ZeroDivisionError, ZeroDivisionError])

    def make():
        result = next(results)
        if result is ZeroDivisionError:
            raise result
        return result

    ahead.start("a", make)
    assert ahead.take("a", make) == "value"
    ahead.start("a", make)
    with pytest.raises(ZeroDivisionError):
        ahead.take("a", make)


def test_what_is_begun_is_not_begun_again():
    ahead, made = Ahead(), []
    for _ in range(2):
        ahead.start("a", lambda: made.append(1))
    ahead.take("a", lambda: None)
    assert made == [1]


def test_a_pack_compiled_ahead_is_not_taken_for_another_of_the_same_number(tiny, monkeypatch):
    def stop(_):
        raise Interrupted("SIGINT")

    words = ["sweep", tiny, "model.width=3", "seed=range(4)"]
    with monkeypatch.context() as patched:
        patched.setattr(ddlab.training.run.TrainingRun, "run", stop)
        assert main([*words, "pack.max_trials=2", "out=a"]) == 130
    assert main([*words, "pack.max_trials=3", "out=a"]) == 0
    assert main([*words, "pack.max_trials=3", "out=b"]) == 0
    pd.testing.assert_frame_equal(curves("a"), curves("b"), check_exact=True)
