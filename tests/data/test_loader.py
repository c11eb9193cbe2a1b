"""Data sets of one pack share their arrays."""

from __future__ import annotations

import numpy as np
import pytest

from ddlab.config.trial import build
from ddlab.data.loader import Loader
from tests.support import leaves_of

pytestmark = pytest.mark.numeric


def test_data_sets_of_equal_inputs_share_their_arrays():
    base = leaves_of("data=gaussian", "model=linear", "optimizer=ridge", "train=exact", "measures=exact")
    trials = [
        {**base, "data.noise_variance": noise, "init_seed": seed, "data.seed": seed} for noise in (0.1, 0.2) for seed in (0, 1)
    ]
    trials += [{**base, "data.num_train": 7}]
    loader = Loader()
    one, _, two, _, other = loader.load(trials)
    assert one.train.inputs is two.train.inputs
    assert one.test.inputs is two.test.inputs
    assert not np.array_equal(one.train.targets, two.train.targets)
    assert other.train.inputs is not one.train.inputs
    assert loader.load(trials)[2] is two
    alone = build(trials[2], "data").load()
    assert two.checksum == alone.checksum
