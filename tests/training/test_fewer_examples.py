"""Trials of one program that have fewer examples than others, and data of their own: packed against alone."""

from __future__ import annotations

import numpy as np
import pytest

from ddlab.data.loader import Loader
from ddlab.plan.packs import pack_trials
from ddlab.plan.shapes import Part
from ddlab.plan.trials import make_trials
from ddlab.run.settle import settle
from ddlab.training.pooled import pooled
from ddlab.training.state import make_inputs
from tests.support import FLOAT64, MODULAR, PACKING, ROUNDING, SMALL_MNIST, leaves_of, packed_equals_alone

RUN = ("train.steps=200", "train.num_evals=4", FLOAT64)


@pytest.mark.numeric
@pytest.mark.usefixtures("fast_packs", "float64")
def test_three_numbers_of_examples_and_two_widths_in_one_pack():
    shared = (*SMALL_MNIST, *RUN, "optimizer=adamw", "optimizer.learning_rate=0.003", "train.batch_size=20")
    sizes = ((90, 3, 0), (200, 8, 1), (131, 8, 0))
    trials = [leaves_of(*shared, f"data.num_train={num}", f"model.width={width}", f"seed={seed}") for num, width, seed in sizes]
    packed_equals_alone(trials, ROUNDING)


@pytest.mark.numeric
@pytest.mark.usefixtures("fast_packs", "float64")
def test_test_sets_of_several_sizes_and_data_of_their_own():
    """1500 examples take two chunks; the trials of one tile need as many as the largest of them."""
    shared = (*MODULAR, *RUN, "data.modulus=37")
    trials = [
        leaves_of(*shared, f"data.train_fraction={part}", f"data.seed={seed}") for part, seed in ((0.2, 0), (0.95, 1), (0.5, 0))
    ]
    packed_equals_alone(trials, ROUNDING)


def test_nested_training_sets_are_one_array():
    trials = [
        leaves_of(*SMALL_MNIST, f"data.num_train={num}", f"data.seed={seed}") for num, seed in ((90, 0), (200, 0), (150, 1))
    ]
    datasets = Loader().load(trials)
    arrays, which = pooled(datasets, "float32")
    assert arrays["train_inputs"].shape == (2, 200, 40)
    for trial, dataset in enumerate(datasets):
        for name, array in dataset.arrays.items():
            row = arrays[name][which[name][trial]]
            np.testing.assert_array_equal(row[: len(array)], array.astype(row.dtype))
    inputs = make_inputs(trials, datasets)
    assert inputs.trial.sizes["train"].tolist() == [90, 200, 150]
    assert inputs.trial.grid.num.tolist() == [90, 200, 150]
    assert "test" not in inputs.trial.sizes


@pytest.mark.parametrize(
    ("words", "axes"),
    [
        (("train.batch_size=20", "model.width=8"), {"data.num_train": tuple(range(100, 1300, 100)), "seed": (0, 1)}),
        (("data=modular", "train.batch_size=null"), {"data.train_fraction": (0.2, 0.3, 0.4, 0.5, 0.6, 0.8), "seed": (0, 1)}),
    ],
)
def test_a_sweep_over_the_number_of_examples_is_one_pack(words, axes):
    trials = make_trials([Part({}, {}, leaves_of(*words), {}, axes)], settle)
    (pack,) = pack_trials(trials, PACKING)
    assert len(pack.trials) == len(trials)


def test_full_batches_of_few_examples_are_not_padded_to_those_of_many_for_nothing():
    """A thousand rows go through a network at once, so that trials of 16 would take as long as those of 1000."""
    leaves = leaves_of("train.batch_size=null", "model.width=64")
    axes = {"data.num_train": (16, 1000), "seed": tuple(range(100))}
    packs = pack_trials(make_trials([Part({}, {}, leaves, {}, axes)], settle), PACKING)
    assert [len(pack.trials) for pack in packs] == [100, 100]
