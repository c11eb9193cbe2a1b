"""Signals: recorded, raised where that is safe, and never lost."""

from __future__ import annotations

import gc
import importlib
import itertools
import signal
import sys
import threading

import pytest

from ddlab.cli import main
from ddlab.config import catalog
from ddlab.errors import ConfigError, Interrupted
from ddlab.job import signals
from ddlab.job.signals import listen

HANDLED = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def handlers_are_put_back():
    """Whatever a test does, who listened before listens after it."""
    before = [signal.getsignal(number) for number in HANDLED]
    yield
    assert [signal.getsignal(number) for number in HANDLED] == before
    signals.check()  # nobody listens who has heard one


@pytest.fixture
def collect():
    """Collects garbage while a SIGINT arrives in a hook of the collector, where Python drops exceptions."""
    waiting = []

    def hook(phase, info):
        if waiting:
            signal.raise_signal(waiting.pop())

    def collect():
        waiting.append(signal.SIGINT)
        gc.collect()
        return {}

    gc.callbacks.append(hook)
    yield collect
    gc.callbacks.remove(hook)


def wait():
    threading.Event().wait(60)


def test_a_signal_that_the_garbage_collector_drops_is_raised_soon_after(collect):
    with pytest.raises(Interrupted, match="SIGINT"), listen():  # noqa: PT012
        collect()
        wait()
        pytest.fail("nothing was raised")


def test_a_command_is_interrupted_though_the_garbage_collector_drops_the_signal(workplace, monkeypatch, capfd, collect):
    monkeypatch.setattr(catalog, "sweep_files", collect)
    assert main(["list"]) == 130
    assert capfd.readouterr().err == "ddlab: stopped by SIGINT\n"


@pytest.mark.parametrize("number", HANDLED)
def test_a_signal_that_someone_keeps_to_himself_ends_the_command_all_the_same(workplace, monkeypatch, capfd, number):
    def keep():
        try:
            signal.raise_signal(number)
        except BaseException:
            return {}

    monkeypatch.setattr(catalog, "sweep_files", keep)
    assert main(["list"]) == 130
    assert capfd.readouterr().err == f"ddlab: stopped by {number.name}\n"


def test_an_error_that_follows_from_a_signal_is_not_what_the_user_is_told(workplace, monkeypatch, capfd):
    def fail():
        try:
            signal.raise_signal(signal.SIGINT)
        except BaseException as error:
            raise ConfigError("") from error

    monkeypatch.setattr(catalog, "sweep_files", fail)
    assert main(["list"]) == 130
    assert capfd.readouterr().err == "ddlab: stopped by SIGINT\n"


def test_check_raises_what_was_kept_back():
    with pytest.raises(Interrupted, match="SIGTERM"), listen():  # noqa: PT012
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGTERM)
        signals.check()
        pytest.fail("nothing was raised")


def test_an_import_is_finished_before_a_signal_is_raised(workplace, monkeypatch):
    monkeypatch.syspath_prepend(workplace)
    (workplace / "half.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\nwhole = True\n")
    found = []
    with pytest.raises(Interrupted), listen():  # noqa: PT012
        found.append(importlib.import_module("half"))
        wait()
    assert found[0].whole


def test_a_second_signal_is_raised_within_an_import_too(workplace, monkeypatch):
    monkeypatch.syspath_prepend(workplace)
    (workplace / "endless.py").write_text("import signal\nsignal.raise_signal(2)\nsignal.raise_signal(2)\nraise AssertionError\n")
    with pytest.raises(Interrupted), listen():
        importlib.import_module("endless")


def deliver(at):
    """Deliver SIGINT, and SIGTERM when so many lines of what that does were run; return whether there were so many."""
    left = [at]

    def trace(frame, event, _):
        left[0] -= event == "line" and frame.f_code.co_filename != __file__
        if left[0] == 0:
            left[0] = -1
            signal.raise_signal(signal.SIGTERM)
        return trace

    with pytest.raises(Interrupted), listen():  # noqa: PT012
        sys.settrace(trace)
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            sys.settrace(None)
    return left[0] < 0


def test_a_second_signal_at_any_line_of_the_answer_to_the_first_is_answered_too():
    def hangs(*_):
        pytest.fail("waits for ever")

    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(20)
    try:
        lines = next(at for at in itertools.count(1) if not deliver(at))
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert lines > 5


def test_a_held_signal_waits_for_the_end_of_the_block_and_a_second_one_does_not():
    done = []
    with pytest.raises(Interrupted, match="SIGTERM"), listen(), listen(hold=True) as held:  # noqa: PT012
        signal.raise_signal(signal.SIGTERM)
        done.append(held.received)
    assert done == [signal.SIGTERM]
    with pytest.raises(Interrupted, match="SIGINT"), listen(), listen(hold=True):  # noqa: PT012
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        pytest.fail("nothing was raised")


def test_a_second_signal_that_the_garbage_collector_drops_is_raised_soon_after(collect):
    with pytest.raises(Interrupted, match="SIGINT"), listen(), listen(hold=True):  # noqa: PT012
        signal.raise_signal(signal.SIGTERM)
        collect()
        wait()
        pytest.fail("nothing was raised")


def test_a_thread_leaves_signals_alone(workplace):
    before = [signal.getsignal(number) for number in HANDLED]
    seen = []

    def listen_in_thread():
        with listen():
            seen.append([signal.getsignal(number) for number in HANDLED])
        seen.append(main(["list"]))

    thread = threading.Thread(target=listen_in_thread)
    thread.start()
    thread.join()
    assert seen == [before, 0]
