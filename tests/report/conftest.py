"""Results that are written down: what frames and figures are computed from."""

from __future__ import annotations

import pandas as pd
import pytest

from ddlab.store.results import Results
from tests.support import SWEEP


@pytest.fixture
def results():
    """Four widths, two seeds: test loss 1, 3, 9, 5 (+-0.5) at the end; train error reaches zero at the third width."""
    trials, curves = [], []
    for k, (width, loss, error) in enumerate([(2, 1.0, 0.5), (4, 3.0, 0.2), (8, 9.0, 0.0), (16, 5.0, 0.0)]):
        for seed in (0, 1):
            trial = f"t{k}{seed}"
            shape = {"model.width": width, "num_params": 100 * width, "num_train": 100, "num_outputs": 10}
            ratio = {"params_per_sample": float(width), "train.loss": "cross_entropy", "data": "mnist1d"}
            trials.append({"trial_id": trial, "seed": seed, "status": "completed", "last_step": 100, **shape, **ratio})
            for step in (0, 1, 10, 100):
                at = {"train_error": error if step == 100 else 0.9, "test_error": 0.8 if step < 10 else 0.005}
                curves.append({"trial_id": trial, "step": step, "train_loss": 1.0, "test_loss": loss + seed - 0.5, **at})
    return Results(pd.DataFrame(trials), pd.DataFrame(curves), SWEEP)
