"""The program of a pack: one update by hand, metrics in chunks, batches in pieces."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from ddlab.config.trial import parse
from ddlab.data.loader import Loader
from ddlab.training.batches import Grid, batch_rows
from ddlab.training.program import make_program
from ddlab.training.state import Inputs
from tests.support import FLOAT64, MODULAR, NO_GRADIENT, ROUNDING, SMALL_MNIST, leaves_of, make_pack, named_leaves, run_trials

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("fast_packs")]


def test_segments_cut_anywhere_give_the_same_state():
    trial = leaves_of(*SMALL_MNIST, "model.width=4")
    program, inputs = make_pack([trial])
    advance = jax.jit(program.advance)
    begun = jax.jit(program.init)(inputs)
    whole = advance(begun, inputs, np.int32(37))
    cut = begun
    for target in (0, 1, 13, 14, 37):
        cut = advance(cut, inputs, np.int32(target))
    for one, other in zip(jax.tree.leaves(whole), jax.tree.leaves(cut), strict=True):
        np.testing.assert_array_equal(one, other)


def test_first_batch_update_equals_one_computed_by_hand():
    """One SGD step of a network of width 1 and depth 1, against NumPy."""
    trial = leaves_of(
        *SMALL_MNIST,
        "model.width=1",
        "model.activation=tanh",
        "optimizer=sgd",
        "optimizer.learning_rate=0.1",
        "train.loss=mse",
    )
    program, inputs = make_pack([trial])
    begun = jax.jit(program.init)(inputs)
    after_state = jax.jit(program.advance)(begun, inputs, np.int32(1))
    before, after = (
        named_leaves(jax.tree.map(lambda array: np.asarray(array, np.float64)[0], state.trial.params))
        for state in (begun, after_state)
    )
    rows = np.asarray(batch_rows(inputs.trial.keys["batches"][0], np.int32(0), Grid.of(200), 20))
    x, y = inputs.shared["train_inputs"][0, rows].astype(np.float64), np.eye(10)[inputs.shared["train_targets"][0, rows]]
    w1, b1, w2, b2 = (before[f"layers.{k}.{name}"] for k in (0, 1) for name in ("weight", "bias"))
    h = np.tanh(x @ w1 + b1)
    delta = 2 * (h @ w2 + b2 - y) / y.size
    back = delta @ w2.T * (1 - h**2)
    expected = {"0.weight": w1 - 0.1 * x.T @ back, "0.bias": b1 - 0.1 * back.sum(0)}
    expected |= {"1.weight": w2 - 0.1 * h.T @ delta, "1.bias": b2 - 0.1 * delta.sum(0)}
    for name, array in expected.items():
        np.testing.assert_allclose(after[f"layers.{name}"], array, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("num_test", [100, 1024, 1025, 3000])
def test_metrics_do_not_depend_on_how_evaluation_is_chunked(num_test):
    trial = leaves_of(*SMALL_MNIST, f"data.num_test={num_test}", "model.width=4", NO_GRADIENT)
    program, inputs = make_pack([trial])
    state = jax.jit(program.init)(inputs)
    metrics = jax.device_get(jax.jit(program.evaluate)(state, inputs))
    weights = named_leaves(jax.tree.map(lambda array: np.asarray(array, np.float64)[0], state.trial.params))
    x, y = inputs.shared["test_inputs"][0].astype(np.float64), inputs.shared["test_targets"][0]
    h = np.maximum(x @ weights["layers.0.weight"] + weights["layers.0.bias"], 0)
    logits = h @ weights["layers.1.weight"] + weights["layers.1.bias"]
    losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(num_test), y]
    np.testing.assert_allclose(metrics["test_loss"][0], losses.mean(), rtol=1e-5)
    np.testing.assert_allclose(metrics["test_error"][0], (logits.argmax(1) != y).mean(), rtol=1e-5)
    norm = np.sqrt(sum((array**2).sum() for array in weights.values()))
    np.testing.assert_allclose(metrics["weight_norm"][0], norm, rtol=1e-5)


def test_gradient_norm_is_that_of_the_whole_training_set():
    trial = leaves_of(*MODULAR, "train.dtype=float64", "optimizer=sgd", "optimizer.momentum=0", "optimizer.learning_rate=1e-3")
    with jax.enable_x64(True):
        program, inputs = make_pack([trial])
        state = jax.jit(program.init)(inputs)
        measured = float(jax.device_get(jax.jit(program.evaluate)(state, inputs))["gradient_norm"][0])
        moved = jax.jit(program.advance)(state, inputs, np.int32(1))
        steps = [
            np.asarray(a) - np.asarray(b)
            for a, b in zip(jax.tree.leaves(moved.trial.params), jax.tree.leaves(state.trial.params), strict=True)
        ]
    assert steps[0].dtype == np.float64
    np.testing.assert_allclose(measured, np.sqrt(sum((step**2).sum() for step in steps)) / 1e-3, rtol=1e-7)


def test_a_batch_taken_in_pieces_gives_the_gradient_of_the_whole(float64):
    trial = leaves_of(*SMALL_MNIST, "train.batch_size=null", "model.width=6", "train.steps=20", FLOAT64)
    whole, pieces = (make_program(parse(trial), Loader().load([trial])[0].spec, chunk) for chunk in (1000, 70))
    inputs = make_pack([trial])[1]
    states = [jax.jit(program.advance)(jax.jit(program.init)(inputs), inputs, np.int32(20)) for program in (whole, pieces)]
    for one, other in zip(*(jax.tree.leaves(state.trial.params) for state in states), strict=True):
        np.testing.assert_allclose(one, other, rtol=ROUNDING, atol=1e-13)


def test_bfloat16_keeps_parameters_in_float32_and_learns_like_float32():
    shared = (*SMALL_MNIST, "model.width=32", "train.steps=200", "train.num_evals=4", NO_GRADIENT)
    runs = {dtype: run_trials([leaves_of(*shared, f"train.dtype={dtype}")]) for dtype in ("bfloat16", "float32")}
    for _, metrics, first, last in runs.values():
        assert {str(leaf.dtype) for leaf in jax.tree.leaves((first.trial.params, last.trial.params))} == {"float32"}
        assert metrics["train_loss"].dtype == np.float32
    losses = {dtype: metrics["train_loss"][:, 0] for dtype, (_, metrics, _, _) in runs.items()}
    np.testing.assert_allclose(losses["bfloat16"], losses["float32"], rtol=0.05)  # 8 bits: 2^-8 a product
    assert np.abs(losses["bfloat16"] - losses["float32"]).max() > 1e-6
    np.testing.assert_array_equal(*(jax.tree.leaves(run[2].trial.params)[1] for run in runs.values()))


def test_arrays_that_all_trials_share_are_kept_once():
    trials = [leaves_of(*SMALL_MNIST, f"data.label_noise={level}") for level in (0.0, 0.4)]
    inputs = make_pack(trials)[1]
    assert isinstance(inputs, Inputs)
    assert {name: array.shape for name, array in inputs.shared.items()} == {
        "train_inputs": (1, 200, 40),
        "train_targets": (2, 200),
        "train_truth": (1, 200),
        "test_inputs": (1, 100, 40),
        "test_targets": (1, 100),
    }
    assert inputs.trial.which["train_targets"].tolist() == [0, 1]
    assert inputs.trial.sizes == {}
