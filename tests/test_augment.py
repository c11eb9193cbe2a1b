"""Augmentation: moved and mirrored inputs against NumPy, what it draws, and how networks are trained with it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddlab.augment import Shift
from ddlab.config.identity import identify
from ddlab.config.trial import completed, parse
from ddlab.errors import ConfigError
from ddlab.models import Training
from ddlab.models.init import folded
from ddlab.run.settle import settle
from ddlab.streams import stream
from ddlab.training.compiled import compile_pack
from tests.support import (
    FLOAT64,
    NO_GRADIENT,
    ROUNDING,
    SMALL_MNIST,
    TOKENS,
    leaves_of,
    make_pack,
    packed_equals_alone,
    run_compiled,
    run_trials,
    trials_of,
)

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("fast_packs")]

NUM, LENGTH = 50, 9
# Shape of an input, along how many axes it is moved, and the field that says so.
SHAPES = {
    "signal": ((LENGTH,), 1, None),
    "signal with channels": ((LENGTH, 2), 1, 1),
    "grey image": ((LENGTH, 7), 2, None),
    "image": ((LENGTH, 7, 3), 2, None),
    "image all the same": ((LENGTH, 7, 3), 2, 2),
}
SHIFT = (*SMALL_MNIST, "train.augment=shift", "train.steps=60", "train.num_evals=4", NO_GRADIENT)
LARGEST = 1 - 2.0**-24
shift = partial(Shift, dimensions=None)


def given(**numbers):
    """Return a `Draw` that gives these numbers [B] by name."""

    def draw(name, num):
        return jnp.asarray(numbers[name.removeprefix("augment_")], jnp.float32).reshape(-1, num)

    return draw


def drawn(seed=0, step=0, num=NUM):
    """Return the `Draw` of a batch of `num` examples as a program makes it."""
    places = jnp.arange(num, dtype=jnp.int32)
    return Training(folded(jnp.asarray(stream(seed, "training")), jnp.int32(step)), places, places >= 0).draw


def moved(inputs, steps, mirrored, border):
    """Return one input moved by some places along its axes, then mirrored along the last of these."""
    for axis, number in enumerate(steps):
        length = inputs.shape[axis]
        if border == "wrap":
            inputs = np.roll(inputs, number, axis)
        else:
            width = [(0, 0)] * inputs.ndim
            width[axis] = (LENGTH, LENGTH)
            inputs = np.take(np.pad(inputs, width), range(LENGTH - number, LENGTH - number + length), axis)
    return np.flip(inputs, len(steps) - 1) if mirrored else inputs


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("border", ["zero", "wrap"])
@pytest.mark.parametrize("size", [0, 3, 9])
@pytest.mark.parametrize("name", SHAPES)
def test_inputs_are_moved_as_numpy_moves_them(name, size, border, flip):
    random, (shape, axes, dimensions) = np.random.default_rng(size), SHAPES[name]
    inputs = random.normal(size=(NUM, *shape)).astype(np.float32)
    numbers = {each: random.uniform(-1, 1, NUM).astype(np.float32) for each in ("shift_1", "shift_2", "flip")}
    numbers["shift_1"][:3] = -LARGEST, 0, LARGEST
    found = Shift(size=size, border=border, flip=flip, dimensions=dimensions)(jnp.asarray(inputs), given(**numbers))
    steps = [
        [int(np.floor((1 + float(u)) / 2 * (2 * size + 1))) - size for u in numbers[f"shift_{axis}"]]
        for axis in range(1, 1 + axes)
    ]
    assert [steps[0][0], steps[0][2]] == [-size, size]
    mirrored = [flip and u < 0 for u in numbers["flip"]]
    expected = [moved(*each, border) for each in zip(inputs, zip(*steps, strict=True), mirrored, strict=True)]
    np.testing.assert_array_equal(found, expected)


def test_every_shift_is_as_likely_and_every_second_input_is_mirrored():
    """Of 20000 examples each of 7 shifts, the pairs of those of an image, and both sides, within 5 deviations of a count."""
    num, size = 20_000, 3
    ramp = jnp.broadcast_to(jnp.arange(1.0, 8.0)[:, None] * 10 + jnp.arange(1.0, 8.0), (num, 7, 7))[..., None]
    found = shift(size, "wrap", False)(ramp, drawn(num=num))[:, 0, 0, 0]
    counts = np.unique(np.asarray(found), return_counts=True)[1]
    assert len(counts) == 49
    np.testing.assert_allclose(counts, num / 49, rtol=0, atol=5 * np.sqrt(num / 49))
    signs = jnp.broadcast_to(jnp.array([1.0, -1.0]), (num, 2))
    mirrored = shift(0, "zero", True)(signs, drawn(num=num))[:, 0] < 0
    assert abs(float(mirrored.mean(dtype=jnp.float32)) - 0.5) < 5 * 0.5 / np.sqrt(num)


def test_what_is_drawn_is_of_the_trial_the_step_and_the_example_alone():
    inputs = jnp.asarray(np.random.default_rng(0).normal(size=(NUM, 30)), jnp.float32)
    moving = shift(14, "wrap", True)
    first = moving(inputs, drawn())
    np.testing.assert_array_equal(first, moving(inputs, drawn()))
    np.testing.assert_array_equal(first[:20], moving(inputs[:20], drawn(num=20)))
    for other in (drawn(seed=1), drawn(step=1)):
        assert np.mean(np.all(first == moving(inputs, other), axis=1)) < 0.2
    np.testing.assert_array_equal(np.sort(first, axis=1), np.sort(inputs, axis=1))  # it moves numbers and makes none
    same = moving(jnp.broadcast_to(inputs[:1], inputs.shape), drawn())
    assert len(np.unique(np.asarray(same), axis=0)) > NUM / 2


@pytest.mark.usefixtures("float64")
def test_the_gradient_is_of_the_moved_inputs():
    """One step of a linear network on the whole training set, by NumPy."""
    words = ("train.augment=shift", "train.augment.flip=true", "train.batch_size=null", "train.loss=mse", "train.steps=1")
    network = ("model=linear", "model.width=40", "model.init_scale=1", "optimizer=sgd", "optimizer.learning_rate=0.1", "seed=3")
    trial = leaves_of(*SMALL_MNIST, *words, *network, FLOAT64, NO_GRADIENT)
    _, metrics, first, last = run_trials([trial])
    inputs = make_pack([trial])[1].shared
    x, y = inputs["train_inputs"][0].astype(float), np.eye(10)[inputs["train_targets"][0]]
    seen = np.asarray(shift(4, "zero", True)(jnp.asarray(x), drawn(seed=3, num=200)))
    (before,), (after,) = (jax.tree.leaves(state.trial.params) for state in (first, last))
    gradient = seen.T @ (2 * (seen @ before[0] - y) / y.size)
    np.testing.assert_allclose(after[0], before[0] - 0.1 * gradient, rtol=0, atol=1e-12 * np.abs(after).max())
    np.testing.assert_allclose(metrics["train_loss"][0, 0], np.mean((x @ before[0] - y) ** 2), rtol=1e-12)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("batch", ["train.batch_size=20", "train.batch_size=null"])
def test_several_strengths_are_trained_in_one_pack_as_alone(batch):
    words = (*SHIFT, FLOAT64, batch, "train.augment.flip=true", "model.width=6")
    trials = [
        leaves_of(*words, f"train.augment.size={size}", f"data.num_train={num}", f"seed={seed}")
        for size, num, seed in ((0, 200, 0), (2, 200, 0), (7, 150, 0), (2, 200, 1))
    ]
    metrics = packed_equals_alone(trials, ROUNDING)[1]
    assert len(set(metrics["train_loss"][-1])) == 4


@pytest.mark.usefixtures("float64")
def test_a_batch_in_pieces_is_moved_as_in_one():
    trial = leaves_of(*SHIFT, FLOAT64, "train.batch_size=null")
    program, inputs = make_pack([trial])
    whole, pieces = (
        run_compiled(compile_pack(replace(program, chunk=chunk), inputs, 1, 1), trial)[1]["train_loss"] for chunk in (200, 30)
    )
    np.testing.assert_allclose(whole, pieces, rtol=ROUNDING)


def test_trials_that_share_all_else_share_what_is_drawn():
    """Those of size 0 are trained as without, bit for bit; all begin with the loss on the inputs as they are."""
    sizes = [leaves_of(*SHIFT, f"train.augment.size={size}") for size in (0, 3, 3)]
    augmented = run_trials(sizes)[1]
    plain = run_trials([leaves_of(*SHIFT, "train.augment=null")] * 3)[1]
    for name, metric in plain.items():
        np.testing.assert_array_equal(augmented[name][:, 0], metric[:, 0], err_msg=name)
        np.testing.assert_array_equal(augmented[name][:, 1], augmented[name][:, 2], err_msg=name)
        np.testing.assert_array_equal(augmented[name][0], metric[0], err_msg=name)
    assert np.all(augmented["train_loss"][1:, 1] != plain["train_loss"][1:, 1])


def test_it_is_chosen_by_a_word_and_null_is_none():
    for word in ("none", "null"):
        assert leaves_of(f"train.augment={word}") == leaves_of()
    assert parse(leaves_of("train.augment=shift", "train.augment.size=2")).train.augment == Shift(
        size=2, border="zero", flip=False, dimensions=None
    )
    trials = trials_of("train.augment=none,shift", "seed=0,1")
    assert [trial.get("train.augment._target_") for trial in trials] == [None, None, "ddlab.augment.Shift", "ddlab.augment.Shift"]
    sizes = trials_of("train.augment=shift", "train.augment.size=0,2,3")
    assert [trial["train.augment.size"] for trial in sizes] == [0, 2, 3]


def test_trials_without_it_are_named_as_before_there_was_any():
    leaves = leaves_of()
    before = {key: value for key, value in leaves.items() if key != "train.augment"}
    assert identify(leaves) == identify(before)
    assert completed(before) == leaves
    shifted = leaves_of("train.augment=shift")
    assert identify(shifted).weights_id != identify(leaves).weights_id
    assert completed(shifted) == shifted


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (TOKENS, "train.augment: takes real inputs, and those of the data are tokens; null turns it off"),
        (("train.augment.size=-1",), "train.augment.size=-1: must be at least 0"),
        (("train.augment.dimensions=2",), r"train.augment.dimensions=2: the data have inputs of shape \[40\]"),
        (("data=digits", "train.augment.dimensions=3"), "train.augment.dimensions=3: must be one of 1, 2"),
        (("train.augment.border=none",), "train.augment.border=none: must be one of zero, wrap"),
        (
            ("data=sphere", "model=linear", "optimizer=ridge", "train.batch_size=null", "train.dtype=float64", "train.loss=mse"),
            "train.augment=ddlab.augment.Shift: must be null for a closed-form optimizer",
        ),
    ],
)
def test_what_cannot_be_augmented_is_refused_in_a_line(words, message):
    with pytest.raises(ConfigError, match=f"^{message}"):
        settle(leaves_of("train.augment=shift", *words))


def test_a_component_of_another_kind_is_refused():
    with pytest.raises(ConfigError, match=r"_target_=ddlab.losses.MSE: must be a subclass of ddlab.augment.Augment"):
        settle(leaves_of("train.augment={_target_:ddlab.losses.MSE}"))
    with pytest.raises(ConfigError, match=r"train.augment=shfit: no such option. did you mean 'shift'"):
        leaves_of("train.augment=shfit")
