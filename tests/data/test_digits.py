"""The handwritten digits."""

from __future__ import annotations

import pytest

from tests.support import dataset_of, leaves_of

pytestmark = pytest.mark.numeric


def test_digits_are_all_there():
    data = dataset_of(leaves_of("data=digits", "data.num_train=1000"))
    assert (len(data.train.targets), len(data.test.targets)) == (1000, 797)
    assert data.train.inputs.shape == (1000, 64)
    assert (data.train.inputs.min(), data.train.inputs.max()) == (0, 1)
