"""Packs in other processes, and what becomes of those that fail, and of launchers that do."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hydra.core.utils import JobReturn, JobStatus
from joblib.externals.loky.process_executor import TerminatedWorkerError

from ddlab.cli import main
from ddlab.commands.launch import launch_packs
from ddlab.errors import ConfigError, LaunchError, PackFailed
from tests.support import command, curves


def job(error=None):
    """A job as a launcher returns it, from another process."""
    status = JobStatus.COMPLETED if error is None else JobStatus.FAILED
    return pickle.loads(pickle.dumps(JobReturn(status=status, _return_value=error)))


def test_each_pack_that_failed_is_one_line():
    jobs = [job(), job(PackFailed("mine.Mine: ValueError: no", "Traceback of no")), job(KeyError("a\nb"))]
    with pytest.raises(LaunchError) as failure:
        launch_packs(lambda _: jobs, [3, 4, 7], [[], [], []])
    lines = str(failure.value).splitlines()
    assert lines[0] == "pack 4 failed: mine.Mine: ValueError: no (HYDRA_FULL_ERROR=1 shows the traceback)"
    assert lines[1].startswith("pack 7 failed: KeyError: ")
    assert len(lines) == 2
    assert failure.value.exit_status == 1
    assert "Traceback of no" in str(failure.value.__cause__.exceptions[0])


@pytest.mark.parametrize("error", [ConfigError("train.stop_metric=x"), OSError(28, "No space left on device")])
def test_a_mistake_or_a_full_disk_that_all_packs_met_is_told_once(error):
    with pytest.raises(type(error), match=str(error).split("=")[0][-9:]):
        launch_packs(lambda _: [job(), job(error), job(error)], [0, 1, 2], [[], [], []])


def test_packs_that_failed_otherwise_are_each_told():
    jobs = [job(OSError(28, "No space left on device")), job(PackFailed("RuntimeError: another", ""))]
    with pytest.raises(LaunchError) as failure:
        launch_packs(lambda _: jobs, [0, 1], [[], []])
    assert str(failure.value).splitlines()[0] == "pack 0 failed: No space left on device"
    assert str(failure.value).splitlines()[1].startswith("pack 1 failed: RuntimeError: another")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TerminatedWorkerError("The exit codes of the workers are {SIGKILL(-9)}\n" * 40), "was killed (out of memory?)"),
        (TypeError("no such\nargument"), "the launcher failed: TypeError: no such (HYDRA_FULL_ERROR=1"),
    ],
)
def test_a_launcher_that_fails_is_one_line_that_says_how_to_go_on(error, expected):
    def launch(_):
        raise error

    with pytest.raises(LaunchError) as failure:
        launch_packs(launch, [0], [[]])
    assert expected in str(failure.value)
    assert "the same command goes on" in str(failure.value)
    assert "\n" not in str(failure.value)
    assert failure.value.exit_status == 1


@pytest.mark.slow
def test_packs_run_in_parallel_processes_with_joblib(tiny):
    words = ["sweep", tiny, "model.width=3", "pack.max_trials=1", "pack.cpu_devices=1"]
    main([*words, "out=one"])
    command(*words, "out=two", "hydra/launcher=joblib", cwd=Path.cwd())
    one, two = curves("one"), curves("two")
    numbers = [name for name in one if name not in ("trial_id", "step")]
    pd.testing.assert_frame_equal(one[["trial_id", "step"]], two[["trial_id", "step"]])
    np.testing.assert_allclose(one[numbers], two[numbers], rtol=1e-4)
