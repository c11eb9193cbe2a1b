"""Label noise: nested, and of the wanted level."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ddlab.data.noise import corrupt

pytestmark = pytest.mark.numeric


def test_label_noise_is_nested_and_of_the_wanted_level():
    labels = np.random.default_rng(0).integers(10, size=5000)
    for convention, share in (("any", 0.9), ("wrong", 1.0)):
        low, high = (corrupt(labels, level, 10, convention, seed=3) for level in (0.1, 0.3))
        changed = low != labels
        np.testing.assert_array_equal(high[changed], low[changed])
        assert changed.mean() == pytest.approx(0.1 * share, abs=3 * math.sqrt(0.1 * 0.9 / 5000))
        assert (high != labels).mean() == pytest.approx(0.3 * share, abs=3 * math.sqrt(0.3 * 0.7 / 5000))
    np.testing.assert_array_equal(corrupt(labels, 0.0, 10, "any", 3), labels)
    assert (corrupt(labels, 1.0, 10, "wrong", 3) != labels).all()
