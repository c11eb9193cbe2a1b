"""Tables of a binary operation: which pairs there are, how they are split, and which labels are wrong."""

from __future__ import annotations

import numpy as np
import pytest

from ddlab.config.trial import build
from ddlab.data.noise import corrupt
from ddlab.errors import ConfigError
from tests.support import dataset_of, leaves_of

pytestmark = pytest.mark.numeric

P = 11


def words(**fields):
    return "data=modular", f"data.modulus={P}", *(f"data.{name}={value}" for name, value in fields.items())


def pairs_of(**fields):
    """Return the pairs of the training and of the test set as lists of (a, b)."""
    data = dataset_of(leaves_of(*words(**fields)))
    return [[tuple(pair) for pair in split.inputs.tolist()] for split in (data.train, data.test)]


def test_the_split_has_the_wanted_fraction_and_depends_on_the_seed():
    one, same, other = (dataset_of(leaves_of(*words(train_fraction=0.3, seed=seed))) for seed in (1, 1, 2))
    assert one.train.num == round(0.3 * P * P)
    np.testing.assert_array_equal(one.train.inputs, same.train.inputs)
    assert not np.array_equal(one.train.inputs, other.train.inputs)


@pytest.mark.parametrize("pairs", ["all", "unordered", "mirrored"])
def test_the_sizes_are_known_without_loading(pairs):
    source = build(leaves_of(*words(pairs=pairs, train_fraction=0.37)), "data")
    assert source.describe() == source.load().spec


@pytest.mark.parametrize("pairs", ["all", "unordered", "mirrored"])
def test_a_smaller_training_set_is_the_head_of_a_larger_one(pairs):
    small, large = (pairs_of(pairs=pairs, train_fraction=fraction)[0] for fraction in (0.21, 0.6))
    assert len(small) < len(large)
    assert small == large[: len(small)]


def test_unordered_pairs_are_each_there_once():
    train, test = pairs_of(pairs="unordered", train_fraction=0.4)
    assert sorted(train + test) == [(a, b) for a in range(P) for b in range(a, P)]
    assert len(train) == round(0.4 * P * (P + 1) / 2)


@pytest.mark.parametrize("fraction", [0.2, 0.21, 0.5, 0.77])
def test_the_mirror_of_a_training_pair_is_one_but_where_the_fraction_cuts(fraction):
    train, test = pairs_of(pairs="mirrored", train_fraction=fraction)
    assert sorted(train + test) == [(a, b) for a in range(P) for b in range(P)]
    assert len(train) == round(fraction * P * P)
    alone = {(a, b) for a, b in train if (b, a) not in train}
    assert alone == {pair for pair in train[-1:] if pair[::-1] == test[0] and pair != test[0]}


def test_the_mirrors_of_training_pairs_are_anywhere_otherwise():
    train, _ = pairs_of(train_fraction=0.5)
    assert len({(a, b) for a, b in train if (b, a) not in train}) > 10


@pytest.mark.parametrize("pairs", ["unordered", "mirrored"])
@pytest.mark.parametrize("operation", ["subtract", "divide", "a3+ab"])
def test_pairs_of_both_orders_in_one_are_refused_where_the_order_matters(pairs, operation):
    source = build(leaves_of(*words(pairs=pairs, operation=operation)), "data")
    with pytest.raises(ConfigError, match=rf"data\.pairs={pairs}: must be all with data\.operation="):
        source.check()


@pytest.mark.parametrize("fraction", [0.001, 0.999])
def test_a_fraction_that_leaves_a_set_empty_is_refused(fraction):
    with pytest.raises(ConfigError, match=rf"data\.train_fraction={fraction}: leaves .* of 121; each must be at least 1"):
        build(leaves_of(*words(train_fraction=fraction)), "data").check()


@pytest.mark.parametrize(("sequence", "extra"), [("a b", []), ("a b =", [P]), ("a o b =", [P + 1, P])])
def test_an_equation_has_tokens_of_its_own(sequence, extra):
    data = dataset_of(leaves_of(*words(sequence=f"'{sequence}'")))
    a, b, *_ = (data.train.inputs[:, place] for place in (0, 2 if "o" in sequence else 1))
    np.testing.assert_array_equal(data.train.targets, (a + b) % P)
    others = [place for place, name in enumerate(sequence.split()) if name in "o="]
    np.testing.assert_array_equal(data.train.inputs[:, others], np.tile(extra, (data.train.num, 1)))
    assert data.num_tokens == (P + 2 if "o" in sequence else P + 1 if "=" in sequence else P)


@pytest.mark.parametrize("level", [0.3, 1.0])
def test_training_labels_alone_are_noisy(level):
    noisy, clean = (dataset_of(leaves_of(*words(label_noise=noise, noise_seed=5))) for noise in (level, 0.0))
    np.testing.assert_array_equal(noisy.train.targets, corrupt(clean.train.targets, level, P, "any", seed=5))
    np.testing.assert_array_equal(noisy.test.targets, clean.test.targets)
    assert np.mean(noisy.train.targets != clean.train.targets) > level / 2
