"""Initial weights: their distribution, and draws that depend on no shape."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from ddlab.models import Init
from ddlab.models.init import draw_words
from ddlab.streams import stream
from tests.support import leaves_of, weights_of

pytestmark = pytest.mark.numeric


@pytest.mark.parametrize(("initializer", "gain"), [("torch", 1 / 3), ("he", 2.0), ("lecun", 1.0)])
def test_initial_weights_have_the_variance_of_their_initializer(initializer, gain):
    *_, weights = weights_of(leaves_of("model.width=400", f"model.initializer={initializer}", "data.num_train=100"))
    for name, fan_in in (("layers.0.weight", 40), ("layers.1.weight", 400)):
        values = weights[name].ravel()
        error = gain / fan_in * 5 * np.sqrt(2 / len(values))
        assert abs(values.var() - gain / fan_in) < error, name
        assert abs(values.mean()) < 5 * np.sqrt(gain / fan_in / len(values))
    if initializer == "torch":
        assert np.abs(weights["layers.0.weight"]).max() <= 40**-0.5
        assert np.abs(weights["layers.0.bias"]).max() <= 40**-0.5
    else:
        assert not weights["layers.0.bias"].any()


def test_initial_scale_multiplies_every_weight():
    one, three = (weights_of(leaves_of(f"model.init_scale={scale}", "data.num_train=100"))[-1] for scale in (1, 3))
    for name in one:
        np.testing.assert_allclose(three[name], 3 * one[name], rtol=1e-6)


def test_a_draw_is_a_corner_of_any_larger_draw_and_streams_differ():
    def draw(name, rows, columns, padded=None):
        @jax.jit
        def drawn():
            init = Init(lambda name, shape: draw_words(stream(3, "init"), {"other": (3, 4), name: shape})[name], padded)
            return init.normal(name, (init.axis("inputs", rows), init.axis("width", columns)), 1.0)[...]

        return np.asarray(drawn())

    large = draw("a", 20, 30)
    for rows, columns in ((1, 1), (20, 7), (13, 30), (19, 29)):
        np.testing.assert_array_equal(draw("a", rows, columns), large[:rows, :columns])
    assert not np.isin(draw("b", 20, 30), large).any()
    padded = draw("a", 20, 7, {"width": 30})
    np.testing.assert_array_equal(padded[:, :7], large[:, :7])
    assert not padded[:, 7:].any()
    assert len(np.unique(large)) == large.size
