"""Networks that are told how they are trained: dropout, batch statistics, losses of their own; several targets, a third split."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ddlab.config import Column, Mark, leaf, seed_leaf
from ddlab.data import Dataset, DataSource, Field, Spec, Split
from ddlab.errors import ComponentError
from ddlab.measures import Measure
from ddlab.models import Axis, Outputs, Training
from ddlab.training.compiled import compile_pack
from tests.networks import Wide, wide
from tests.support import (
    FLOAT64,
    NO_GRADIENT,
    ROUNDING,
    SMALL_MNIST,
    leaves_of,
    make_pack,
    named_leaves,
    packed_equals_alone,
    run_trials,
)

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("fast_packs", "float64")]
HERE = "tests.training.test_networks"
RUN = ("train.steps=200", "train.num_evals=4", NO_GRADIENT, FLOAT64)


KINDS = {
    "batch statistics": {"normalized": "true"},
    "all": {"rate": 0.2, "normalized": "true", "weight": 0.003},
}


@pytest.mark.parametrize(
    ("kind", "optimizer", "batch"),
    [pytest.param("batch statistics", "adam", "20", marks=pytest.mark.slow), ("all", "adamw", "null")],
)
def test_two_widths_and_numbers_of_examples_in_one_pack(kind, optimizer, batch):
    shared = (*SMALL_MNIST, *RUN, f"optimizer={optimizer}", "optimizer.learning_rate=0.003", f"train.batch_size={batch}")
    sizes = ((5, 3, 200, 0), (7, 2, 131, 1))
    trials = [
        leaves_of(*shared, *wide(width, half, **KINDS[kind]), f"data.num_train={num}", f"seed={seed}")
        for width, half, num, seed in sizes
    ]
    _, metrics, first, last = packed_equals_alone(trials, 1e-9)
    assert np.all(metrics["train_energy"][-1] > 0) == ("weight" in KINDS[kind])
    moved = [np.any(a != b) for a, b in zip(*map(jax.tree.leaves, (first.trial.moving, last.trial.moving)), strict=True)]
    assert moved == [True, True] * ("normalized" in KINDS[kind])


def test_a_run_that_goes_on_from_a_copy_ends_as_one_without_a_stop():
    trials = [leaves_of(*SMALL_MNIST, *RUN, *wide(width, **KINDS["all"]), f"seed={width}") for width in (3, 5)]
    program, inputs = make_pack(trials)
    placed = compile_pack(program, inputs, 2, 2).place()
    ends = []
    for stop in (200, 77):
        middle = placed.to_host(placed.advance(placed.begin(), stop))
        ends.append(placed.to_host(placed.advance(placed.to_devices(middle), 200)))
    for one, other in zip(*map(jax.tree.leaves, ends), strict=True):
        np.testing.assert_array_equal(one, other)


def test_dropout_is_drawn_for_each_trial_step_and_example_and_leaves_out_its_share():
    places = jnp.arange(300, dtype=jnp.int32)

    def kept(key, size, places=places):
        training = Training(jnp.asarray(key, jnp.uint32), places, jnp.ones(len(places), bool))
        return np.asarray(training.keep("dropout", (Axis("width", 4, size),), 0.3, jnp.float32))

    mask = kept((1, 2), 40)
    np.testing.assert_allclose(np.unique(mask), [0, 1 / 0.7], rtol=1e-6)
    assert abs((mask == 0).mean() - 0.3) < 4 * np.sqrt(0.21 / mask.size)
    np.testing.assert_array_equal(kept((1, 2), 50)[:, :40], mask)
    np.testing.assert_array_equal(kept((1, 2), 40, places[100:]), mask[100:])
    for other in (kept((1, 3), 40), np.roll(mask, 1, axis=0), np.roll(mask, 1, axis=1)):
        assert abs(np.corrcoef(mask.ravel(), other.ravel())[0, 1]) < 4 / np.sqrt(mask.size)


def test_a_step_with_batch_statistics_and_a_loss_of_its_own_is_that_of_numpy():
    words = (*SMALL_MNIST, "train.steps=2", "train.num_evals=2", FLOAT64, "train.batch_size=null", "optimizer=sgd")
    trial = leaves_of(*words, "optimizer.momentum=0", "optimizer.learning_rate=0.5", *wide(normalized="true", weight=0.1))
    program, inputs = make_pack([trial])
    first = jax.jit(program.init)(inputs)
    after = jax.jit(program.advance)(first, inputs, np.int32(1))
    a, b, c = (jnp.asarray(first.trial.params[name][...][0]) for name in "abc")
    x, y = inputs.shared["train_inputs"][0], inputs.shared["train_targets"][0]

    def loss(b):
        z = x @ a
        h = np.tanh((z - z.mean(0)) / np.sqrt(z.var(0) + 1e-5))
        g = jnp.tanh(h @ b)
        logits = g @ c
        return jnp.mean(jax.nn.logsumexp(logits, axis=1) - logits[np.arange(200), y] + 0.1 * (g**2).sum(1))

    np.testing.assert_allclose(after.trial.params["b"][...][0], b - 0.5 * jax.grad(loss)(b), rtol=1e-9, atol=1e-13)
    z = x @ a
    np.testing.assert_allclose(after.trial.moving["mean"][...][0], 0.1 * z.mean(0), rtol=1e-9)
    np.testing.assert_allclose(after.trial.moving["variance"][...][0], 0.9 + 0.1 * z.var(0), rtol=1e-9)


@dataclass(frozen=True)
class HiddenNorm(Measure):
    """hidden_norm: mean square of the activations that the network calls `hidden`."""

    def columns(self):
        return {"hidden_norm": Column("hidden norm")}

    def __call__(self, snapshot):
        given = snapshot.network_fn(snapshot.params, snapshot.test.inputs)
        return {"hidden_norm": jnp.mean(given.activations["hidden"] ** 2)}


def test_a_measure_reads_named_activations():
    measure = f"+measures.hidden._target_={HERE}.HiddenNorm"
    metrics = run_trials([leaves_of(*SMALL_MNIST, "train.steps=2", "train.num_evals=2", FLOAT64, *wide(), measure)])[1]
    assert np.all((metrics["hidden_norm"] > 0) & (metrics["hidden_norm"] < 1))


@dataclass(frozen=True)
class Draws(Wide):
    """Its dropout has a state of its own."""

    def make(self, spec, init):
        network = super().make(spec, init)
        network.own = nnx.Dropout(0.1, rngs=nnx.Rngs(0))
        return network


@dataclass(frozen=True)
class Clashes(Wide):
    """Its loss has the name of another metric."""

    def make(self, spec, init):
        network = super().make(spec, init)
        return _Clashes(network)


class _Clashes(nnx.Module):
    def __init__(self, network):
        self.network = network

    def __call__(self, x):
        return Outputs(self.network(x).outputs, {"loss": jnp.ones(len(x))})


def test_a_loss_of_its_own_has_a_name_of_its_own():
    with pytest.raises(ComponentError, match="a loss of its own cannot be called 'loss'"):
        run_trials([leaves_of(*SMALL_MNIST, "train.steps=1", *wide(cls=f"{HERE}.Clashes"))])


@dataclass(frozen=True)
class Counts(Wide):
    """Its batch statistic counts the steps."""

    def make(self, spec, init):
        return _Counts(super().make(spec, init), init.statistic(()))


class _Counts(nnx.Module):
    def __init__(self, network, steps):
        self.network, self.steps = network, steps

    def __call__(self, x, training=None):
        if training is not None:
            self.steps[...] = self.steps[...] + 1
        return self.network(x).outputs


def test_batch_statistics_keep_their_type_in_bfloat16():
    """A bfloat16 has 8 bits: it counts to 256 and stays there."""
    words = ("train.steps=300", "train.num_evals=2", "train.dtype=bfloat16", *wide(width=2, half=1, cls=f"{HERE}.Counts"))
    last = run_trials([leaves_of(*SMALL_MNIST, *words)])[3]
    assert [array.tolist() for array in jax.tree.leaves(last.trial.moving)] == [[300.0]]


def test_a_network_with_random_state_of_its_own_is_refused():
    with pytest.raises(ComponentError, match=r"RngKey is none of them|RngCount is none of them"):
        make_pack([leaves_of(*SMALL_MNIST, *wide(cls=f"{HERE}.Draws"))])


# --- data ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sequences(DataSource):
    """Tokens whose sums so far, modulo 5, are the targets: a class at each of 4 places; a third split, of longer sums."""

    num_train: int = leaf("training examples", Mark.SIZE, low=1, high=300)
    seed: int = seed_leaf("seed")

    NESTED_BY = "num_train"

    def describe(self):
        sizes = {"train": self.num_train, "test": 60, "shifted": 40}
        return Spec(Field((4,), 5), Field((4,), 5), sizes)

    def load(self):
        tokens = np.random.default_rng(self.seed).integers(5, size=(400, 4)).astype(np.int32)
        targets = tokens.cumsum(axis=1).astype(np.int32) % 5
        rows = {"train": slice(self.num_train), "test": slice(300, 360), "shifted": slice(360, 400)}
        splits = {name: Split(tokens[row], (targets[row] + (name == "shifted")) % 5) for name, row in rows.items()}
        return Dataset(splits, num_classes=5, num_tokens=5)


SEQUENCES = ("~data", f"+data={{_target_:{HERE}.Sequences,num_train:200,seed:0}}", "model=mlp", "model.width=12")


def test_several_targets_and_a_third_split():
    words = (*SEQUENCES, *RUN, "train.batch_size=50", "optimizer.learning_rate=0.01")
    trials = [leaves_of(*words, f"data.num_train={num}", f"seed={seed}") for num, seed in ((200, 0), (120, 1))]
    _, metrics, _, last = packed_equals_alone(trials, ROUNDING)
    splits = {f"{split}_{name}" for split in ("train", "test", "shifted") for name in ("loss", "error")}
    assert splits <= metrics.keys()
    data = Sequences(200, 0).load()
    layers = {path: np.asarray(array[0]) for path, array in named_leaves(last.trial.params).items()}
    for name, (tokens, targets) in data.splits.items():
        x = np.eye(5)[tokens].reshape(len(tokens), -1)
        h = np.maximum(x @ layers["layers.0.weight"] + layers["layers.0.bias"], 0)
        outputs = (h @ layers["layers.1.weight"] + layers["layers.1.bias"]).reshape(-1, 4, 5)
        log = np.log(np.exp(outputs).sum(-1)) - np.take_along_axis(outputs, targets[..., None], -1)[..., 0]
        np.testing.assert_allclose(metrics[f"{name}_loss"][-1, 0], log.mean(), rtol=1e-9)
        np.testing.assert_allclose(metrics[f"{name}_error"][-1, 0], (outputs.argmax(-1) != targets).mean(), atol=1e-12)
    assert metrics["train_error"][-1, 0] < 0.5 < metrics["shifted_error"][-1, 0]
