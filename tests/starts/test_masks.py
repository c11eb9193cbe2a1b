"""Which weights live: exactly as many as said, chosen as NumPy chooses them, dead to the end under every optimizer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from flax import nnx

import ddlab
from ddlab.cli import main
from ddlab.config import Mark, leaf
from ddlab.models import Model, matmul
from ddlab.starts import Copied, Cut, Layer, Magnitude, Piece, Random, Weights
from ddlab.streams import generator
from tests.support import kept_of, write_sweep

pytestmark = pytest.mark.usefixtures("fast_packs")

SHAPES = {"first": (7, 5), "stack": (3, 4, 5), "last": (5, 4)}
LAYERS = {"first": Piece("first", None), **{f"stack[{k}]": Piece("stack", k) for k in range(3)}, "last": Piece("last", None)}


def random_weights(seed=0, share=0.7):
    rng = np.random.default_rng(seed)
    live = {name: rng.random(shape) < share for name, shape in SHAPES.items()}
    scores = {name: rng.random(shape) for name, shape in SHAPES.items()}
    layers = {name: Layer(piece, inputs=-2, is_readout=name == "last") for name, piece in LAYERS.items()}
    return Weights(live, layers, {}), scores


def cut(drop, scope="layer", readout=1.0, seed=0):
    weights, scores = random_weights(seed)
    mask = Cut(score=Magnitude(), of="x", step=None, drop=drop, scope=scope, readout=readout)
    mask.check()
    return weights, scores, mask(weights, lambda _: scores, np.random.default_rng(1))


def pieces(arrays):
    return {name: arrays[key] if index is None else arrays[key][index] for name, (key, index) in LAYERS.items()}


@pytest.mark.parametrize("drop", [0.0, 0.2, 0.5, 0.93, 1.0])
@pytest.mark.parametrize("readout", [1.0, 0.5, 0.0])
def test_of_each_layer_the_smallest_scores_are_taken_out(drop, readout):
    weights, scores, masks = cut(drop, readout=readout)
    for layer, mask in pieces(masks).items():
        before, score = pieces(weights.live)[layer], pieces(scores)[layer]
        gone = round(drop * (readout if layer == "last" else 1) * before.sum())
        threshold = np.sort(score[before])[gone] if gone < before.sum() else np.inf
        np.testing.assert_array_equal(mask, before & (score >= threshold))


@pytest.mark.parametrize("readout", [1.0, 0.0])
def test_of_all_layers_together_the_smallest_scores_are_taken_out(readout):
    weights, scores, masks = cut(0.4, scope="global", readout=readout)
    names = ["first", "stack", *(["last"] if readout else [])]
    live = np.concatenate([weights.live[name].ravel() for name in names])
    score = np.where(live, np.concatenate([scores[name].ravel() for name in names]), -1)
    kept = np.concatenate([masks[name].ravel() for name in names])
    assert kept.sum() == live.sum() - round(0.4 * live.sum())
    assert score[kept].min() > score[live & ~kept].max()
    assert readout or (masks["last"] == weights.live["last"]).all()


def test_equal_scores_are_ordered_by_chance():
    weights, _ = random_weights(share=1.1)
    alike = {name: np.zeros(shape) for name, shape in SHAPES.items()}
    mask = Cut(score=Magnitude(), of="", step=None, drop=0.5, scope="layer", readout=1.0)
    times = np.mean([mask(weights, lambda _: alike, np.random.default_rng(seed))["first"] for seed in range(400)], axis=0)
    assert abs(times - 18 / 35).max() < 5 * 0.5 / 20


def test_a_shuffled_mask_has_as_many_of_each_layer():
    weights, _ = random_weights()
    copied, shuffled = (Copied(of="x", shuffle=shuffle)(weights, None, np.random.default_rng(2)) for shuffle in (False, True))
    for layer, live in pieces(weights.live).items():
        np.testing.assert_array_equal(pieces(copied)[layer], live)
        assert pieces(shuffled)[layer].sum() == live.sum()
    assert any((shuffled[name] != weights.live[name]).any() for name in SHAPES)


def test_a_shuffled_random_mask_is_a_random_one():
    shapes = {"first": (40, 200), "last": (200, 200)}
    layers = {name: Layer(Piece(name, None), inputs=-2, is_readout=False) for name in shapes}
    live, alike = (
        {name: make(shape) for name, shape in shapes.items()} for make in (lambda shape: np.ones(shape, bool), np.zeros)
    )
    cut = Cut(score=Random(), of="", step=None, drop=0.9, scope="global", readout=1.0)
    copy = Copied(of="x", shuffle=True)
    variances = []
    for seed in range(5):
        masks = cut(Weights(live, layers, {}), lambda _: alike, generator(seed, cut.stream))
        shuffled = copy(Weights(masks, layers, {}), None, generator(seed, copy.stream))["first"]
        variances.append(shuffled.sum(axis=1).var(ddof=1) / (200 * 0.1 * 0.9))
    assert 0.6 < np.mean(variances) < 1.4  # of each, 39 degrees of freedom: a standard deviation of 0.1 of the mean of five


HEAD = """\
defaults: [ddlab, override data: digits, _self_]
axes: {seed: 0}
data: {num_train: 60}
model: {width: 6}
train: {steps: 30, batch_size: 20, num_evals: 4}
measures: {gradient_norm: null}
"""
CUT = """\
stages:
  dense: {}
  ticket: {start: {mask: {cut: magnitude, of: dense, drop: 0.5}}}
  end: {start: {values: ticket, mask: {copy: ticket}}}
"""


def weights_and_masks(root, stage):
    found = kept_of(root, stage)
    params = {name.removeprefix("params."): array for name, array in found.items() if name.startswith("params.")}
    return params, {name.removeprefix("masks."): array for name, array in found.items() if name.startswith("masks.")}


OWN = "tests.optimizers.modifiers"
OPTIMIZERS = {
    "sgd": ("optimizer=sgd", "optimizer.momentum=0.9", "optimizer.weight_decay=0.01"),
    "adam": ("optimizer=adam", "optimizer.weight_decay=0.01"),
    "adamw": ("optimizer=adamw", "optimizer.weight_decay=0.1"),
    "sharpness-aware": ("optimizer.modifiers.sam=sam",),
    "of each matrix": ("+optimizer.modifiers.muon._target_=tests.optimizers.modifiers.Orthogonal",),
}


AKIN = [name for name in OPTIMIZERS if name != "of each matrix"]


@pytest.mark.parametrize("name", ["of each matrix", *(pytest.param(name, marks=pytest.mark.slow) for name in AKIN)])
def test_what_does_not_live_is_zero_after_training_and_all_else_moves(name, workplace):
    """Half of 64 x 6 and of 6 x 10 weights live, and all 16 biases: those where the dense network's weights are the largest."""
    write_sweep(workplace, "cut", HEAD + CUT)
    assert main(["sweep", "cut", "pack.keep_weights=true", *OPTIMIZERS[name]]) == 0
    dense, _ = weights_and_masks("results/cut", "dense")
    params, masks = weights_and_masks("results/cut", "ticket")
    assert {key: int(mask.sum()) for key, mask in masks.items()} == {
        "layers.0.weight": 192,
        "layers.0.bias": 6,
        "layers.1.weight": 30,
        "layers.1.bias": 10,
    }
    for key, mask in masks.items():
        assert np.count_nonzero(params[key]) == mask.sum()
        if key.endswith("weight"):
            assert np.abs(dense[key][mask]).min() >= np.abs(dense[key][~mask]).max()
    results = ddlab.load("results/cut")
    assert dict(results.trials.groupby("stage")["num_live"].first()) == {"dense": 460, "ticket": 238, "end": 238}


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["weight", "neuron"])
def test_masks_of_widths_of_one_pack_are_those_of_each_alone(workplace, unit):
    """What is padded is neither counted nor kept, and a trial is to rounding what it is alone."""
    write_sweep(workplace, "cut", HEAD + CUT)
    words = ["optimizer=sgd", "optimizer.learning_rate=0.1", "train.dtype=float64", "train.steps=12"]
    words.append(f"stages.ticket.start.mask.unit={unit}")
    assert main(["sweep", "cut", *words, "model.width=3,7"]) == 0
    together = ddlab.load("results/cut")
    live = together.trials.set_index("trial_id")["num_live"]
    assert set(together.trials.groupby("stage")["num_live"].nunique()) == {2}
    for width in (3,):
        assert main(["sweep", "cut", *words, f"model.width={width}", f"out=results/alone{width}"]) == 0
        alone = ddlab.load(f"results/alone{width}")
        joined = alone.curves.merge(together.curves, on=["trial_id", "step"], suffixes=("", "_packed"))
        assert len(joined) == len(alone.curves)
        own = alone.trials.set_index("trial_id")["num_live"]
        assert own.equals(live[own.index])
        np.testing.assert_allclose(joined["train_loss"], joined["train_loss_packed"], rtol=1e-11)


class Scaling(nnx.Module):
    def __init__(self, weight, scale):
        self.weight, self.scale = weight, scale

    def __call__(self, x):
        return matmul(x.reshape(len(x), -1), self.weight[...]) * self.scale[...]


@dataclass(frozen=True)
class Scaled(Model):
    """A linear map times one number that is trained."""

    std: float = leaf("of the first weights", Mark.TRACED, above=0)

    def make(self, spec, init):
        axes = init.axis("inputs", 64), init.axis("outputs", spec.num_outputs)
        return Scaling(init.normal("weight", axes, self.std), init.full((), 1.0))


def test_a_parameter_that_is_one_number_lives(workplace):
    write_sweep(workplace, "cut", HEAD.replace("model: {width: 6}\n", "") + CUT)
    model = f"+model={{_target_:{__name__}.Scaled,std:0.1}}"
    assert main(["sweep", "cut", "~model", model, "pack.keep_weights=true"]) == 0
    params, masks = weights_and_masks("results/cut", "ticket")
    assert {name: int(mask.sum()) for name, mask in masks.items()} == {"weight": 320, "scale": 1}
    assert params["scale"] != 0


def test_signs_alone_are_as_large_as_their_layer(workplace):
    write_sweep(
        workplace, "signs", HEAD + "stages:\n  drawn: {}\n  signs: {start: {signs: true}}\n  end: {start: {values: signs}}\n"
    )
    assert main(["sweep", "signs", "pack.keep_weights=true", "train.steps=1", "optimizer.learning_rate=1e-30"]) == 0
    params, _ = weights_and_masks("results/signs", "signs")
    for key in ("layers.0.weight", "layers.1.weight"):
        sizes = np.abs(params[key])
        np.testing.assert_allclose(sizes, sizes[0, 0], rtol=1e-6)
        expected = (1 / (3 * params[key].shape[0])) ** 0.5  # uniform in +-1/sqrt(fan-in)
        assert abs(sizes[0, 0] / expected - 1) < 5 * (0.2 / params[key].size) ** 0.5
