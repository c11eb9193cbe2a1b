"""Convolutions against XLA's own, pooling and normalisation against NumPy, and networks of several widths in one pack."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddlab.errors import ConfigError
from ddlab.models import Init, Training
from ddlab.models.convolutions import Window, convolve, max_pool
from ddlab.models.norms import BatchNorm, GroupNorm
from ddlab.run.settle import settle
from tests.support import FLOAT64, leaves_of, packed_equals_alone, words_of

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("float64")]

LAYOUTS = {1: ("NWC", "WIO", "NWC"), 2: ("NHWC", "HWIO", "NHWC")}


@pytest.mark.parametrize(("size", "stride", "padding"), [(3, 1, 1), (5, 2, 1), (1, 2, 0), (2, 2, 0), (4, 3, 2)])
@pytest.mark.parametrize("places", [(11,), (9, 8)], ids=["signals", "images"])
def test_a_convolution_is_that_of_xla_forward_and_backward(places, size, stride, padding):
    random, dimensions = np.random.default_rng(0), len(places)
    window = Window(dimensions, size, stride, padding)
    x = jnp.asarray(random.normal(size=(3, *places, 2)))
    weight = jnp.asarray(random.normal(size=(window.taps, 2, 4)))

    def xla(x, weight):
        kernel = weight.reshape(*[size] * dimensions, 2, 4)
        pads = [(padding, padding)] * dimensions
        return jax.lax.conv_general_dilated(x, kernel, [stride] * dimensions, pads, dimension_numbers=LAYOUTS[dimensions])

    found, pull = jax.vjp(lambda x, weight: convolve(x, weight, window), x, weight)
    expected, pull_expected = jax.vjp(xla, x, weight)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    cotangent = jnp.asarray(random.normal(size=expected.shape))
    for gradient, of_xla in zip(pull(cotangent), pull_expected(cotangent), strict=True):
        np.testing.assert_allclose(gradient, of_xla, rtol=1e-12, atol=1e-12)


def test_pooling_takes_the_maximum_of_whole_blocks():
    x = np.random.default_rng(0).normal(size=(2, 7, 5, 3))
    expected = x[:, :6, :4].reshape(2, 3, 2, 2, 2, 3).max(axis=(2, 4))
    np.testing.assert_array_equal(max_pool(jnp.asarray(x), 2), expected)


@pytest.mark.parametrize("pair", [(np.nan, 1.0), (1.0, np.nan)])
def test_a_block_with_a_nan_is_nan(pair):
    assert np.isnan(max_pool(jnp.asarray(pair)[None, :, None], 2)).all()


def test_of_equal_entries_the_first_has_the_gradient():
    x = jnp.asarray([[1.0, 2.0, 0.0], [2.0, 2.0, 0.0], [0.0, 0.0, 0.0]])
    gradient = jax.grad(lambda x: max_pool(x[None, ..., None], 3).sum())(x)
    np.testing.assert_array_equal(gradient, [[0, 1, 0], [0, 0, 0], [0, 0, 0]])


@pytest.mark.parametrize("groups", [1, 2, 3, 9])
def test_a_group_norm_has_groups_as_even_as_can_be(groups):
    """Five live channels of seven, so that three groups have 2, 2, 1 of them."""
    init = Init(words_of(0), {"channels": 7}, dtype=jnp.float64)
    x = np.random.default_rng(0).normal(size=(2, 4, 7))
    x[..., 5:] = 0
    expected = np.zeros_like(x)
    of_channel = np.arange(5) * groups // 5
    for group in set(of_channel):
        own = np.flatnonzero(of_channel == group)
        values = x[..., own]
        centred = values - values.mean(axis=(1, 2), keepdims=True)
        expected[..., own] = centred / np.sqrt((centred**2).mean(axis=(1, 2), keepdims=True) + 1e-5)
    found = GroupNorm(groups, init.axis("channels", 5), init)(jnp.asarray(x), None)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_a_batch_norm_knows_the_live_examples_alone():
    """PyTorch's averages: a tenth of the batch's mean and of its unbiased variance."""
    init = Init(words_of(0), {"channels": 4}, dtype=jnp.float64)
    norm = BatchNorm(init.axis("channels", 3), init)
    x = np.random.default_rng(0).normal(2.0, 3.0, size=(6, 5, 4))
    x[..., 3] = 0
    live = np.array([True, True, False, True, False, False])
    told = Training(jnp.zeros(2, jnp.uint32), jnp.arange(6), jnp.asarray(live))
    own = x[live][..., :3]
    mean, variance = own.mean(axis=(0, 1)), own.var(axis=(0, 1))
    found = norm(jnp.asarray(x), told)
    np.testing.assert_allclose(found[live][..., :3], (own - mean) / np.sqrt(variance + 1e-5), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(norm.mean[...][:3], 0.1 * mean, rtol=1e-12)
    np.testing.assert_allclose(norm.variance[...][:3], 0.9 + 0.1 * own.var(axis=(0, 1), ddof=0) * 15 / 14, rtol=1e-12)
    evaluated = norm(jnp.asarray(x), None)[..., :3]
    scale = np.sqrt(0.9 + 0.1 * variance * 15 / 14 + 1e-5)
    np.testing.assert_allclose(evaluated, (x[..., :3] - 0.1 * mean) / scale, rtol=1e-12)
    assert not np.asarray(found[..., 3]).any()


SMALL = ("train.batch_size=null", "train.steps=30", "train.num_evals=3", "measures=none", "optimizer=adam", FLOAT64)


@pytest.mark.usefixtures("fast_packs")
@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("data=mnist1d", "data.num_test=50", "model=cnn_1d", "model.norm=group", "model.groups=2"),
        ("data=mnist1d", "data.num_test=50", "model=vision_transformer", "model.patch=20", "model.depth=1"),
        ("data=digits", "model=mlp", "model.depth=3", "model.norm=layer", "model.residual=true"),
    ],
    ids=["groups of channels", "patches", "residual"],
)
def test_widths_of_one_pack_are_each_what_they_are_alone(words):
    sizes = zip((2, 5), (20, 31), strict=True)
    packed_equals_alone(
        [leaves_of(*SMALL, *words, f"model.width={width}", f"data.num_train={num}", f"seed={num}") for width, num in sizes], 1e-9
    )


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("data=modular", "model=cnn_1d"), r"model\.dimensions=1: needs real inputs \[length\] or .*; those of data are tokens"),
        (("data=mnist1d", "model=cnn"), r"model\.dimensions=2: needs real inputs \[rows, columns\] .* are of shape \[40\]"),
        (("data=digits", "model=cnn"), r"model\.pools=\[1, 2, 2, 8\]: leaves nothing of inputs \[8, 8\] behind convolution 4"),
        (
            ("data=digits", "model=cnn", "model.windows=[20,3,3,3]"),
            r"model\.windows=\[20, 3, 3, 3\]: leaves nothing of .*\[8, 8\]",
        ),
        (
            ("data=mnist1d", "model=cnn_1d", "model.strides=[1,2]"),
            r"model\.strides=\[1, 2\]: must be a number from 1 to 1,000 for each of 3",
        ),
        (
            ("data=mnist1d", "model=vision_transformer", "model.patch=7"),
            r"model\.patch=7: must divide the places of the inputs, 40",
        ),
        (("data=digits", "model=resnet18", "model.blocks=[2,0]"), r"model\.blocks=\[2, 0\]: must be one to ten numbers from 1"),
    ],
)
def test_inputs_and_lists_that_do_not_fit_are_refused(words, line):
    with pytest.raises(ConfigError, match=line):
        settle(leaves_of(*words))
