"""The size of a model: widths solved for, multiply-adds counted."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from ddlab.config.trial import build
from ddlab.data import describe
from ddlab.errors import ConfigError
from ddlab.models import Model
from ddlab.models.init import draw_words
from ddlab.models.size import count, size_of
from ddlab.run.settle import settle
from ddlab.streams import stream
from ddlab.training.method import metrics
from tests.support import TOKENS, leaves_of

pytestmark = pytest.mark.numeric


@pytest.mark.parametrize("wanted", [300, 1000, 4663, 50_000])
def test_the_width_is_solved_for_a_wanted_parameter_count(wanted):
    leaves, size, *_ = settle(leaves_of("model.depth=2", f"model.num_params={wanted}"))
    width = leaves["model.width"]
    neighbours = [settle(leaves_of("model.depth=2", f"model.width={w}"))[1].num_params for w in (width - 1, width, width + 1)]
    assert neighbours[1] == size.num_params
    assert abs(size.num_params - wanted) == min(abs(number - wanted) for number in neighbours)


def test_too_few_wanted_parameters_are_refused():
    with pytest.raises(ConfigError, match=r"model\.num_params=10: must be at least 61"):
        settle(leaves_of("model.num_params=10"))


@pytest.mark.parametrize(
    ("overrides", "products", "lookups"),
    [
        (("model.width=30", "model.depth=3"), 40 * 30 + 2 * 30 * 30 + 30 * 10, 0),
        ((*TOKENS, "model=quadratic_mlp"), 16 * 7, 2 * 16),  # a row for each token
        ((*TOKENS, "model.depth=2"), 16 * 16 + 16 * 7, 2 * 16),
    ],
)
def test_multiply_adds_of_an_example_are_those_of_the_matrix_products(overrides, products, lookups):
    size = settle(leaves_of(*overrides))[1]
    assert (size.num_products, size.num_lookups) == (products, lookups)


def test_the_activations_of_a_convolution_are_those_of_all_its_places_and_the_patches_that_it_reads():
    size = settle(leaves_of("data=mnist1d", "model=cnn_1d", "model.width=6"))[1]
    assert size.num_products == 19 * 5 * 6 + (10 + 5) * 3 * 6 * 6 + 5 * 6 * 10
    patches = 19 * 5 + (10 + 5) * 3 * 6
    assert size.num_activations == (19 + 10 + 5) * 6 + 10 + patches


def test_multiply_adds_in_loops_and_branches_are_counted():
    class Looped(nnx.Module):
        def __init__(self, init):
            self.weight = init.zeros((init.axis("inputs", 40), init.axis("outputs", 40)))

        def __call__(self, x):
            weight = self.weight[...]
            x = jax.lax.scan(lambda x, _: (x @ weight, None), x, length=10)[0]
            return jax.lax.cond(x[0, 0] > 0, lambda x: x @ weight, lambda x: x, x)[:, :10]

    @dataclass(frozen=True)
    class Loops(Model):
        def make(self, spec, init):
            return Looped(init)

    assert size_of(Loops(), build(leaves_of(), "data").describe()).num_products == 11 * 40 * 40


def test_a_parameter_may_be_a_single_number_and_a_network_without_products_has_a_size():
    class Level(nnx.Module):
        def __init__(self, init):
            self.level, self.outputs = init.normal("level", (), 1.0), init.zeros((init.axis("outputs", 10),))

        def __call__(self, x):
            return jnp.broadcast_to(self.outputs[...] + self.level[...], (len(x), 10))

    @dataclass(frozen=True)
    class Levels(Model):
        def make(self, spec, init):
            return Level(init)

    spec = build(leaves_of(), "data").describe()
    assert size_of(Levels(), spec).num_products == 1
    assert count(Levels(), spec)[0] == 11
    draw = jax.jit(lambda key: draw_words(key, {"level": (), "other": (3,)}))
    drawn = [draw(stream(seed, "init")) for seed in (0, 1)]
    assert drawn[0]["level"].shape == ()
    assert drawn[0]["level"] != drawn[1]["level"]


def test_what_a_network_is_written_in_is_counted_once_however_large_or_often():
    """A layer is a product, a sum with its bias, a factor and an activation: as many operations at any width, and each."""

    def operations(*words):
        leaves = leaves_of(*words)
        return size_of(build(leaves, "model"), build(leaves, "data").describe()).num_operations

    one, two, three = (operations(f"model.depth={depth}") for depth in (1, 2, 3))
    assert operations("model.width=500") == one
    assert three - two == two - one > 3


DIGITS = ("data=digits", "train.batch_size=20")


def traced(leaves):
    """Return the shapes of the metrics of a trial."""
    return metrics(leaves, describe(build(leaves, "data")))


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ("model=cnn", "model.pools=[1,2,2,1]", "model.width=10000"),
            r"model: too large, of its parameter \S+ of shape .* 65,536",
        ),
        (("model=resnet18", "model.width=10000"), r"model: too large, of its parameter \S+ of shape"),
        (
            ("model=cnn", "model.channels=[1,2,100000000000,4]"),
            r"channels=.*: must be a number from 1 to 1,000 for each of 4",
        ),
        (("model=cnn", "model.windows=[]"), r"model\.windows=\[\]: must be a number from 1 to 1,000 for each of 4 layers"),
        (("model=resnet18", "model.blocks=[100000]"), r"model\.blocks=\[100000\]: must be one to ten numbers from 1 to 100"),
    ],
)
def test_sizes_beyond_what_can_be_are_one_line(words, line):
    with pytest.raises(ConfigError, match=line):
        traced(settle(leaves_of(*DIGITS, *words)).leaves)


def test_the_width_is_solved_for_where_a_model_has_other_sizes_too():
    words = ("data=modular", "model=transformer", "train.batch_size=null")
    wanted = settle(leaves_of(*words, "model.width=24")).size.num_params
    assert settle(leaves_of(*words, f"model.num_params={wanted}")).leaves["model.width"] == 24
