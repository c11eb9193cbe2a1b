"""The MLP on embeddings of tokens against one in NumPy that joins them first."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from ddlab.config.trial import build
from ddlab.errors import ConfigError
from ddlab.models import Init
from tests.support import FLOAT64, dataset_of, leaves_of, make_pack, packed_equals_alone, weights_of, words_of

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("fast_packs", "float64")]

P, WIDTH, EMBEDDING = 7, 6, 5
SHARED = ("data=modular", f"data.modulus={P}", "model=embedding_mlp", "train.batch_size=null", "train.loss=mse", FLOAT64)
SMALL = (f"model.width={WIDTH}", f"model.embedding={EMBEDDING}", "model.activation=tanh")
# The power of fan_in that each layer is divided by.
POWERS = {"standard": (0, 0, 0), "mean_field": (0.5, 0.5, 1)}


@pytest.mark.parametrize("join", ["concatenate", "sum"])
@pytest.mark.parametrize("parametrization", POWERS)
@pytest.mark.parametrize("sequence", ["a b", "a o b ="])
def test_the_forward_pass_against_numpy(join, parametrization, sequence):
    words = (f"model.join={join}", f"model.parametrization={parametrization}", f"data.sequence='{sequence}'", "model.depth=2")
    program, inputs, state, weights = weights_of(leaves_of(*SHARED, *SMALL, *words))
    tokens, targets = (inputs.shared[f"train_{name}"][0] for name in ("inputs", "targets"))
    found = weights["embedding"][tokens]
    h = found.reshape(len(tokens), -1) if join == "concatenate" else found.sum(axis=1)
    for layer, power in enumerate(POWERS[parametrization]):
        fan_in = h.shape[1]
        weight, bias = weights[f"layers.{layer}.weight"].reshape(fan_in, -1), weights[f"layers.{layer}.bias"]
        z = (h @ weight + bias) / fan_in**power
        h = np.tanh(z) if layer < 2 else z
    measured = jax.jit(program.evaluate)(state, inputs)["train_loss"][0]
    np.testing.assert_allclose(measured, ((h - np.eye(P)[targets]) ** 2).mean(), rtol=1e-12)


@pytest.mark.parametrize("join", ["concatenate", "sum"])
def test_a_sum_is_symmetric_in_its_tokens(join):
    leaves = leaves_of(*SHARED, *SMALL, f"model.join={join}")
    spec, x = dataset_of(leaves).spec, np.array([[3, 5], [0, 6], [2, 1]], np.int32)
    network = jax.jit(lambda x: build(leaves, "model").make(spec, Init(words_of(0)))(x))
    there, back = (np.array(network(x)) for x in (x, x[:, ::-1]))
    assert (join == "sum") == np.array_equal(there, back)


@pytest.mark.parametrize(("initializer", "scale", "std"), [("torch", 1.0, 1.0), ("he", 1.0, 0.05), ("lecun", 3.0, 0.15)])
def test_embeddings_begin_at_their_scale(initializer, scale, std):
    words = ("model.embedding=400", "data.modulus=50", f"model.initializer={initializer}", f"model.init_scale={scale}")
    *_, weights = weights_of(leaves_of(*SHARED, *words))
    assert weights["embedding"].shape == (50, 400)
    np.testing.assert_allclose(np.std(weights["embedding"]), std, rtol=5 / np.sqrt(2 * 50 * 400))


@pytest.mark.slow
@pytest.mark.parametrize("join", ["concatenate", "sum"])
def test_widths_and_embeddings_of_one_pack_are_each_what_they_are_alone(join):
    run = ("train.steps=60", "train.num_evals=3", "optimizer=adamw", "optimizer.learning_rate=0.003", "optimizer.weight_decay=1")
    sizes = ((5, 9, 1.0), (8, 3, 0.5), (3, 6, 2.0))
    trials = [
        leaves_of(
            *SHARED,
            *run,
            f"model.join={join}",
            "model.depth=2",
            "model.activation=gelu",
            f"model.width={width}",
            f"model.embedding={embedding}",
            f"model.init_scale={scale}",
            f"seed={seed}",
        )
        for seed, (width, embedding, scale) in enumerate(sizes)
    ]
    packed_equals_alone(trials, 1e-9)


def test_inputs_that_are_no_tokens_are_refused():
    with pytest.raises(ConfigError, match="a sequence of tokens"):
        make_pack([leaves_of("model=embedding_mlp")])
