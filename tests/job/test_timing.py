"""Where the time of a pack goes."""

from __future__ import annotations

from ddlab.job.timing import Timing


def test_what_is_neither_steps_nor_evaluation_is_the_hosts():
    about = Timing(run=10.0, steps=5.0, evals=3.0, trial_steps=50).about()
    assert about == {"run_seconds": 10.0, "step_seconds": 5.0, "eval_seconds": 3.0, "host_seconds": 2.0, "trial_steps": 50}


def test_a_pack_goes_on_with_the_sums_it_had():
    timing = Timing(run=10.0, steps=5.0, evals=3.0, trial_steps=50)
    assert Timing(**timing.sums()) == timing
