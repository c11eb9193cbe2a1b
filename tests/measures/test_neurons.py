"""The active neurons of a network against NumPy."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from ddlab.errors import ConfigError
from tests.support import FLOAT64, dataset_of, leaves_of, make_pack, named_leaves, packed_equals_alone, run_trials

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("fast_packs", "float64")]

# Trained until a few of the neurons are larger than the others.
PARITY = (
    "data=sparse_parity",
    "data.num_bits=8",
    "data.num_relevant=2",
    "data.num_train=150",
    "data.num_test=40",
    "model=mlp",
    "model.width=20",
    "train.loss=hinge",
    "train.batch_size=50",
    "train.steps=400",
    "train.num_evals=4",
    "optimizer=sgd",
    "optimizer.learning_rate=0.1",
    "optimizer.momentum=0",
    "optimizer.weight_decay=0.01",
    "measures=neurons",
    FLOAT64,
)


def classes(weights, inputs, kept):
    hidden = np.maximum(inputs @ weights["layers.0.weight"] + weights["layers.0.bias"], 0)
    return np.argmax(hidden[:, kept] @ weights["layers.1.weight"][kept] + weights["layers.1.bias"], axis=1)


def active(weights, inputs):
    """Return the fewest largest neurons that say what all say."""
    order = np.argsort(-np.linalg.norm(weights["layers.0.weight"], axis=0))
    whole = classes(weights, inputs, order)
    return next(order[:k] for k in range(1, len(order) + 1) if (classes(weights, inputs, order[:k]) == whole).all())


@pytest.mark.parametrize("split", ["train", "test"])
def test_they_are_those_of_numpy(split):
    leaves = leaves_of(*PARITY, f"measures.active_neurons.split={split}")
    inputs = getattr(dataset_of(leaves), split).inputs
    _, metrics, *states = run_trials([leaves])
    begin, end = ({k: v[0] for k, v in named_leaves(state.trial.params).items()} for state in states)
    found = {name: metrics[name][-1, 0] for name in ("active_neurons", "active_norm", "inactive_norm")}
    numbers = [len(active(weights, inputs)) for weights in (begin, end)]
    assert [found["active_neurons"][0], found["active_neurons"][-1]] == numbers
    assert 1 < numbers[1] < numbers[0]
    last = active(end, inputs)
    for place, weights in ((0, begin), (-1, end)):
        norms = np.linalg.norm(weights["layers.0.weight"], axis=0)
        np.testing.assert_allclose(found["active_norm"][place], norms[last].mean(), rtol=1e-9)
        np.testing.assert_allclose(found["inactive_norm"][place], np.delete(norms, last).mean(), rtol=1e-9)


def test_padded_neurons_are_neither_active_nor_not():
    packed_equals_alone([leaves_of(*PARITY, f"model.width={width}", f"seed={width}") for width in (9, 20)], 1e-9)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("outgoing=layers.2.weight", r"parameter=layers\.2\.weight: no such parameter"),
        ("outgoing=layers.0.weight", r"incoming=layers\.0\.weight and outgoing=layers\.0\.weight: have shapes"),
        ("incoming=layers.0.bias", r"incoming=layers\.0\.bias and outgoing=.*must be \[inputs, neurons\]"),
        ("split=foo", "split=foo: the data have train, test"),
    ],
)
def test_what_are_no_neurons_is_refused(word, message):
    program, inputs = make_pack([leaves_of(*PARITY, f"measures.active_neurons.{word}")])
    with pytest.raises(ConfigError, match=message):
        jax.eval_shape(lambda inputs: program.evaluate(program.init(inputs), inputs), inputs)


def test_real_targets_are_refused():
    words = ("data=teacher", "train.loss=mse", "model=mlp", "model.width=4", "measures=neurons", "train.steps=2")
    program, inputs = make_pack([leaves_of(*words)])
    with pytest.raises(ConfigError, match="the data have real targets"):
        jax.eval_shape(lambda inputs: program.evaluate(program.init(inputs), inputs), inputs)
