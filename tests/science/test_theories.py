"""What theories say of trials is what the exact solver gives, on the average over draws."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ddlab.measures.points import eval_steps
from ddlab.report.theories import predicted
from tests.exact import EXACT, solve
from tests.support import leaves_of, train_settings

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("float64")]

FLOW = (
    *EXACT[:2],
    *("data=gaussian", "model=linear", "optimizer=gradient_flow", "data.num_features=120", "model.width=120"),
    *("data.noise_variance=0.0", "optimizer.learning_rate=0.01", "train.steps=60", "train.num_evals=5"),
)
CASES = {
    "levi, more examples": ("levi", "data.num_train=240", "data.signal=0.5", "model.init_scale=0.7"),
    "levi, fewer examples": ("levi", "data.num_train=60", "data.signal=0.5", "model.init_scale=0.7"),
    "ridge": ("ridge_grokking", "data.num_train=60", "data.signal=0.0", "model.init_scale=3.0", "optimizer.weight_decay=0.2"),
}


@pytest.mark.parametrize("case", CASES)
def test_losses_of_the_solver_are_those_of_the_theory(case):
    name, *words = CASES[case]
    base = leaves_of(*FLOW, *words)
    seeds = [key for key in base if key.endswith("seed")]
    trials = [{**base, **dict.fromkeys(seeds, seed)} for seed in range(40)]
    solved = [solve([trial], base) for trial in trials]
    steps = eval_steps(train_settings(base))
    of_trial = {**base, "num_train": base["data.num_train"], "last_step": 60}
    rows = pd.DataFrame([{**of_trial, "step": step} for step in steps])
    for metric in ("train_loss", "test_loss"):
        expected = predicted(name, metric, rows)
        found = np.array([metrics[metric][0] for metrics in solved])
        error = found.std(axis=0, ddof=1) / np.sqrt(len(trials))
        assert (error < 0.05 * expected).all()
        np.testing.assert_array_less(np.abs(found.mean(axis=0) - expected), 4 * error + 0.03 * expected)
