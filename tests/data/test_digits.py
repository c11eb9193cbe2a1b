"""The handwritten digits."""

from __future__ import annotations

import numpy as np
import pytest

from ddlab.data import Digits
from ddlab.errors import ConfigError
from tests.support import dataset_of, leaves_of

pytestmark = pytest.mark.numeric


def test_digits_are_all_there():
    data = dataset_of(leaves_of("data=digits", "data.num_train=1000"))
    assert (len(data.train.targets), len(data.test.targets)) == (1000, 797)
    assert data.train.inputs.shape == (1000, 8, 8)
    assert (data.train.inputs.min(), data.train.inputs.max()) == (0, 1)


def held_out(*words):
    return dataset_of(leaves_of("data=digits", "data.num_train=500", *words)).splits


def test_validation_examples_are_the_last_of_the_test_set():
    whole, split = held_out(), held_out("data.num_validation=200")
    assert [part.num for part in split.values()] == [500, 1097, 200]
    np.testing.assert_array_equal(split["train"].targets, whole["train"].targets)
    for part, of_whole in zip(zip(split["test"], split["validation"], strict=True), whole["test"], strict=True):
        np.testing.assert_array_equal(np.concatenate(part), of_whole)


def test_the_labels_that_are_held_out_have_the_noise_of_training():
    clean, noisy = (held_out("data.num_validation=200", "data.noise_convention=wrong", f"data.label_noise={p}") for p in (0, 0.2))
    changed = {name: int((noisy[name].targets != clean[name].targets).sum()) for name in noisy}
    assert changed == {"train": 100, "test": 0, "validation": 40}


def test_a_test_example_is_left():
    fields = {"label_noise": 0.0, "noise_convention": "any", "noise_seed": 0, "seed": 0, "num_train": 1000}
    Digits(**fields, num_validation=796).check()
    with pytest.raises(ConfigError, match=r"data\.num_validation=797: leaves no test example"):
        Digits(**fields, num_validation=797).check()
