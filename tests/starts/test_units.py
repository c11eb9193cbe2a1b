"""Units that are cut: a network without them is the narrower one; and patterns of weights, as NumPy has them."""

from __future__ import annotations

import numpy as np
import pytest

from ddlab.cli import main
from ddlab.config.trial import build, parse
from ddlab.data import describe
from ddlab.devices.local import precision
from ddlab.models.size import parameters
from ddlab.parameters import named
from ddlab.starts import Copied, Cut, Grasp, Layer, Magnitude, Pattern, Piece, Random, Sets, Snip, Taylor, Weights
from ddlab.training.begin import begun
from ddlab.training.prepare import prepare
from tests.support import leaves_of, write_sweep

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("fast_packs")]

RUN = ("measures=none", "train.dtype=float64", "optimizer=adamw", "optimizer.weight_decay=0.1", "train.steps=5")
MLP = ("data=digits", "data.num_train=40", "train.batch_size=20", "model=mlp", "model.depth=2", "model.width=6")
CNN = ("data=mnist1d", "data.num_train=40", "train.batch_size=20", "model=cnn_1d", "model.norm=batch", "model.width=4")
RESNET = ("data=digits", "data.num_train=40", "train.batch_size=20", "model=resnet18", "model.blocks=[1,1]", "model.width=4")
TRANSFORMER = (
    *("data=modular", "data.modulus=7", "train.batch_size=null", "model=transformer", "model.norm=pre", "model.bias=all"),
    *("model.depth=2", "model.width=8", "model.heads=4", "model.head_size=4", "model.hidden=6"),
)
MOE = ("data=digits", "data.num_train=40", "train.batch_size=20", "model=moe", "model.experts=6", "model.width=3", "model.top=2")
QUADRATIC = ("data=modular", "data.modulus=7", "train.batch_size=null", "model=quadratic_mlp", "model.width=8")


class NoParents:
    """Those of a trial that starts from none."""

    def lives(self, ref):
        raise AssertionError(ref)

    kept = lives


def begin(*trials):
    """Return (program, its state at step 0) of a pack of trials, by the words of each."""
    leaves = [leaves_of(*RUN, *words) for words in trials]
    prepared = prepare(np.arange(len(trials)).astype(str), leaves, memory=2**30)
    placed = prepared.compiled.place()
    with precision(prepared.train):
        return placed, placed.to_host(placed.advance(begun(leaves, placed, NoParents()), 0))


@pytest.mark.parametrize(
    ("words", "unit", "halved"),
    [
        (MLP, "neuron", ("model.width=3",)),
        (CNN, "channel", ("model.width=2",)),
        ((*TRANSFORMER, "model.depth=1", "model.hidden=null"), "head", ("model.heads=2",)),
        (MOE, "expert", ("model.experts=3",)),
        pytest.param(TRANSFORMER, "neuron", ("model.hidden=3",), marks=pytest.mark.slow),
        pytest.param((*TRANSFORMER, "model.activation=swiglu"), "neuron", ("model.hidden=3",), marks=pytest.mark.slow),
        pytest.param(QUADRATIC, "neuron", ("model.width=4",), marks=pytest.mark.slow),
    ],
)
def test_a_network_whose_units_are_cut_trains_as_the_narrower_one(words, unit, halved):
    """Both lie in one pack, and the narrower one begins with what is left of the other."""
    placed, state = begin((*words, "start.mask=cut", f"start.mask.unit={unit}", "start.mask.drop=0.5"), (*words, *halved))
    masks = named(state.trial.masks)
    for name, array in named(state.trial.params).items():
        array[1][masks[name][1]] = array[0][masks[name][0]]
    with precision(placed.compiled.program.train):
        found = placed.evaluate(placed.advance(placed.to_devices(state), 5))
    for loss in ("train_loss", "test_loss"):
        cut, narrow = np.asarray(found[loss])
        np.testing.assert_allclose(cut, narrow, rtol=1e-9)


@pytest.mark.slow
def test_inner_channels_of_residual_blocks_are_units_and_those_of_the_stream_are_not():
    _, state = begin((*RESNET, "start.mask=cut", "start.mask.unit=channel", "start.mask.drop=0.5"))
    masks = {name: mask[0] for name, mask in named(state.trial.masks).items()}
    assert masks["first.weight"].all()
    assert masks["readout.weight"].all()
    for block, inner in (("0", 4), ("1", 8)):
        first, second = (masks[f"blocks.{block}.convolutions.{number}.weight"] for number in (0, 1))
        live = first.all(axis=(0, 1))
        assert live.sum() == inner / 2
        np.testing.assert_array_equal(second, np.broadcast_to(live[:, None], second.shape))
        for part in ("gain", "shift"):
            np.testing.assert_array_equal(masks[f"blocks.{block}.norms.1.{part}"], live)
            assert masks[f"blocks.{block}.norms.0.{part}"].all()


@pytest.mark.slow
def test_experts_that_the_router_gives_least_are_cut():
    """Of six the three of the least mean of what the router gives them on the training set, the two largest for an example."""
    _, state = begin((*MOE, "start.mask=cut", "start.mask.score=router_mass", "start.mask.unit=expert", "start.mask.drop=0.5"))
    _, drawn = begin(MOE)
    weights = {name: array[0] for name, array in named(drawn.trial.params).items()}
    x = build(leaves_of(*RUN, *MOE), "data").load().train.inputs.reshape(40, -1)
    logits = x @ weights["router"] + weights["router_bias"]
    gates = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    gates[gates < np.sort(gates, axis=1)[:, -2:-1]] = 0
    kept = np.sort(np.argsort(gates.mean(axis=0))[3:])
    masks = {name: array[0] for name, array in named(state.trial.masks).items()}
    for name in ("first", "first_bias", "second", "second_bias", "router_bias"):
        live = masks[name].reshape(6, -1)
        np.testing.assert_array_equal(live, np.broadcast_to(np.isin(np.arange(6), kept)[:, None], live.shape))


def test_the_neurons_of_the_least_weights_are_cut():
    """Of each of two layers one third; the norm is of all weights of a neuron, and of its bias."""
    _, drawn = begin(MLP)
    weights = {name: array[0] for name, array in named(drawn.trial.params).items()}
    _, state = begin((*MLP, "start.mask=cut", "start.mask.unit=neuron", "start.mask.drop=0.34"))
    masks = {name: array[0] for name, array in named(state.trial.masks).items()}
    for layer in (0, 1):
        before, bias, behind = (f"layers.{layer}.weight", f"layers.{layer}.bias", f"layers.{layer + 1}.weight")
        norms = [np.linalg.norm([*weights[before][:, i], weights[bias][i], *weights[behind][i]]) for i in range(6)]
        kept = np.sort(np.argsort(norms)[2:])
        np.testing.assert_array_equal(np.flatnonzero(masks[bias]), kept)
        assert not masks[before][:, ~masks[bias]].any()
        assert not masks[behind][~masks[bias]].any()
    assert masks["layers.2.bias"].all()
    assert sum(mask.sum() for mask in masks.values()) == 64 * 4 + 4 + 4 * 4 + 4 + 4 * 10 + 10


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (Magnitude(), lambda terms: np.sqrt(np.sum(terms**2))),
        (Snip(), np.sum),
        (Grasp(), np.sum),
        (Random(), np.sum),
        (Taylor(order=1), lambda terms: np.sum(terms) ** 2),
        (Taylor(order=2), lambda terms: np.sum(terms) ** 2),
    ],
    ids=["magnitude", "snip", "grasp", "random", "taylor 1", "taylor 2"],
)
def test_the_score_of_a_set_is_made_of_those_of_its_weights(score, expected):
    """A cut of units takes their terms from all of the parameters that have some."""
    rng = np.random.default_rng(0)
    shapes = {"before": (5, 4), "bias": (4,), "behind": (2, 4, 3)}
    terms = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    sets = Sets(((Piece("before", None), 1), (Piece("bias", None), 0), (Piece("behind", 1), 0)))
    found = score.of_sets(sets.of(terms))
    for unit in range(4):
        own = np.concatenate([terms["before"][:, unit], terms["bias"][[unit]], terms["behind"][1, unit]])
        assert found[unit] == pytest.approx(expected(own), rel=1e-12)


def test_a_unit_of_which_nothing_lives_is_not_counted():
    """Of 5 living units of 6, two go: those of the least scores, over both layers together."""
    live = {"first": np.ones((3, 4), bool), "second": np.ones((4, 2), bool)}
    live["first"][:, 1] = live["second"][1] = False
    units = {
        "neuron": {
            "a": Sets(((Piece("first", None), 1), (Piece("second", None), 0))),
            "b": Sets(((Piece("second", None), 1),)),
        }
    }
    terms = {"first": np.arange(12.0).reshape(3, 4), "second": np.array([[9.0, 50], [0, 0], [-9, 50], [0, 50]])}
    mask = Cut(score=Grasp(), of="", step=None, drop=0.4, scope="global", readout=1.0, unit="neuron")
    found = mask(Weights(live, {}, units), lambda _: terms, np.random.default_rng(0))
    # Sums: a: 12 + 59, dead, 18 + 41, 21 + 50; b: 0, 150.
    np.testing.assert_array_equal(found["first"], [[1, 0, 0, 1]] * 3)
    np.testing.assert_array_equal(found["second"], [[0, 1], [0, 0], [0, 0], [0, 1]])


@pytest.mark.parametrize("shuffle", [False, True])
def test_the_mask_of_another_trial_has_its_biases_too(shuffle):
    live = {"weight": np.array([[True, False], [False, False]]), "bias": np.array([True, False])}
    layers = {"weight": Layer(Piece("weight", None), -2, is_readout=False)}
    found = Copied(of="x", shuffle=shuffle)(Weights(live, layers, {}), None, np.random.default_rng(0))
    assert found["weight"].sum() == 1
    np.testing.assert_array_equal(found["bias"], live["bias"])


@pytest.mark.parametrize("inputs", [-2, -3])
def test_of_each_m_consecutive_inputs_the_n_largest_that_live_are_left(inputs):
    rng = np.random.default_rng(0)
    scores = {"weight": rng.normal(size=(6, 7, 3))}
    live = {"weight": rng.random((6, 7, 3)) < 0.8}
    layers = {"weight": Layer(Piece("weight", None), inputs, is_readout=False)}
    mask = Pattern(score=Grasp(), of="", step=None, n=2, m=4)
    found = mask(Weights(live, layers, {}), lambda _: scores, rng)["weight"]
    rows = [
        np.moveaxis(array, inputs, -1).reshape(-1, array.shape[inputs]) for array in (found, live["weight"], scores["weight"])
    ]
    for row, alive, worth in zip(*rows, strict=True):
        for start in range(0, len(row), 4):
            block = [i for i in range(start, min(start + 4, len(row))) if alive[i]]
            assert set(np.flatnonzero(row[start : start + 4]) + start) == set(sorted(block, key=lambda i: worth[i])[-2:])


def test_inputs_of_heads_are_the_stream_and_of_what_is_attended_the_entries_of_a_head():
    leaves = leaves_of(*RUN, *TRANSFORMER)
    network = parameters(parse(leaves).model, describe(build(leaves, "data")))
    names = {name.removeprefix("blocks.").removesuffix(".weight"): found for name, found in network.items() if found.is_weight}
    inputs = {name: found.axes[found.input_axis] for name, found in names.items()}
    assert inputs == {
        "embedding": "tokens",
        "positions": "positions",
        **dict.fromkeys(("query", "key", "value", "hidden", "unembedding"), "width"),
        "attended": "head_size",
        "read": "hidden",
    }


MISTAKES = [
    ("start.mask=cut start.mask.unit=head", "start.mask.unit=head: must be weight or neuron; the network has no such units"),
    ("start.mask=cut start.mask.unit=weight,head", "start.mask.unit=head: must be weight or neuron; the network has no"),
    ("start.mask=cut start.mask.unit=neuron model.residual=true", "start.mask.unit=neuron: must be weight; the network has no"),
    ("start.mask=cut start.mask.unit=neuron model.norm=layer", "start.mask.unit=neuron: must be weight; the network has no"),
    (
        "start.mask=cut start.mask.unit=neurn",
        "start.mask.unit=neurn: must be one of weight, neuron, channel, head, expert.",
    ),
    (
        "start.mask=cut start.mask.unit=neuron start.mask.readout=0",
        "start.mask.readout=0: must be 1 with start.mask.unit=neuron",
    ),
    ("start.mask=pattern start.mask.n=5", "start.mask.n=5: must be at most start.mask.m=4"),
]


@pytest.mark.parametrize(("words", "line"), MISTAKES)
def test_a_mistake_is_one_line(workplace, capsys, words, line):
    write_sweep(workplace, "tiny", "defaults: [ddlab, override data: digits, _self_]\naxes: {seed: 0}\n")
    assert main(["plan", "tiny", *words.split()]) == 2
    assert line in capsys.readouterr().err
