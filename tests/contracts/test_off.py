"""A field at its `off` value does nothing, bit for bit: each is held against what has no such field."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.datasets import load_digits

from ddlab.config.declare import ALWAYS, declared
from ddlab.config.trial import build, train_settings
from ddlab.contracts import compose_subject
from ddlab.contracts.engine import Solved
from ddlab.data import load
from ddlab.data.noise import corrupt
from ddlab.measures import Measure
from ddlab.measures.points import due_steps, eval_steps
from ddlab.models import Init
from ddlab.run.settle import settle
from ddlab.streams import generator
from tests.contracts.shipped import components
from tests.images import write
from tests.support import leaves_of, words_of

pytestmark = pytest.mark.numeric

STEPS = 20
VALIDATION = ("data.num_validation=30",)
EIGENVALUES = jnp.array([2.0, 0.5, 0.0])


# --- optimizers ---------------------------------------------------------------------------------------------------------


def trajectory(rule):
    """Return the weights [STEPS, 3] that a rule reaches with gradients of its own."""

    def step(carry, gradient):
        weights, state = carry
        updates, state = rule.update(gradient, state, weights)
        weights = optax.apply_updates(weights, updates)
        return (weights, state), weights

    start = jnp.array([1.0, -2.0, 0.5])
    gradients = jnp.asarray(np.random.default_rng(0).normal(size=(STEPS, 3)), jnp.float32)
    with jax.numpy_dtype_promotion("standard"):
        return jax.jit(lambda: jax.lax.scan(step, (start, rule.init(start)), gradients))()[1][1]


def steps(optimizer):
    return trajectory(optimizer.make(0.1))


def sgd(optimizer):
    return trajectory(optax.sgd(0.1, optimizer.momentum or None))


def adam(optimizer):
    return trajectory(optax.adam(0.1, optimizer.b1, optimizer.b2, optimizer.eps))


def decayed_sgd(optimizer):
    return trajectory(optax.chain(optax.add_decayed_weights(0.1), optax.sgd(0.1, optimizer.momentum)))


def decayed_adam(optimizer):
    return trajectory(optax.chain(optax.add_decayed_weights(0.1), optax.adam(0.1, optimizer.b1, optimizer.b2, optimizer.eps)))


def rates(optimizer):
    return [optimizer.learning_rate_at(jnp.int32(step), STEPS) for step in range(STEPS)]


def cosine(optimizer):
    """The cosine from 1 to 0, with nothing before it."""
    factors = [0.5 * (1 + jnp.cos(jnp.pi * jnp.float32(step) / STEPS)) for step in range(STEPS)]
    return [optimizer.learning_rate * factor for factor in factors]


# --- closed forms: learned and kept share of modes of given eigenvalues, after STEPS steps, of one output ---------------


def shares(optimizer):
    return optimizer.learned_and_kept(EIGENVALUES, 1, jnp.int32(STEPS))


def least_squares(_optimizer):
    return jnp.where(EIGENVALUES > 0, 1.0, 0.0), jnp.where(EIGENVALUES > 0, 0.0, 1.0)


def flow(optimizer):
    kept = jnp.exp(-optimizer.learning_rate * jnp.float32(STEPS) * (2 * EIGENVALUES))
    return jnp.where(EIGENVALUES > 0, 1 - kept, 0), kept


def descent(optimizer):
    kept = jnp.power(1 - optimizer.learning_rate * (2 * EIGENVALUES), jnp.float32(STEPS))
    return jnp.where(EIGENVALUES > 0, 1 - kept, 0), kept


# --- data and models ----------------------------------------------------------------------------------------------------


def train_targets(data):
    return load(data).train.targets


def labels(digits):
    """Return the labels of the training examples as scikit-learn gives them."""
    return load_digits(return_X_y=True)[1][generator(digits.seed, "split").permutation(1797)][: digits.num_train]


def train_inputs(data):
    return load(data).train.inputs


def pairs(data):
    """Return the pairs (a, b) of the training set and nothing beside them."""
    num = data.num_elements
    order = generator(data.seed, "split").permutation(num**2)[: round(data.train_fraction * num**2)]
    return np.stack([order // num, order % num], axis=1)


def sums(data):
    """Return the sums of these pairs mod p."""
    return pairs(data).sum(axis=1) % data.modulus


def products_of_three(data):
    """Return the products of these pairs in S3: 012 021 102 120 201 210 are 0 to 5."""
    table = np.array(["012345", "104523", "230154", "325401", "451032", "543210"])
    return [int(table[a][b]) for a, b in pairs(data)]


def parities(data):
    """Return whether an even number of the first bits of the training examples are -1."""
    return np.sum(train_inputs(data)[:, : data.num_relevant] < 0, axis=1) % 2 == 0


def standard_normal(data):
    return generator(data.seed, "inputs").standard_normal((data.num_train, data.num_features))


def inputs_of_the_test(data):
    return load(data).test.inputs


def nodes(data):
    return np.diag(np.full(data.num_features, data.num_features**0.5))


def targets_of_the_test(data):
    return load(data).test.targets[:, 0]


def of_every_feature(data):
    beta = generator(data.target_seed, "target").standard_normal(data.num_features)
    beta *= data.signal**0.5 / np.linalg.norm(beta)
    return nodes(data) @ beta


def initial_weights(model):
    begun = model.make(build(leaves_of("data=modular"), "data").describe(), Init(words_of(0)))
    return begun.first[...], begun.second[...]


def normal_weights(model):
    init = Init(words_of(0))
    axes = init.axis("inputs", 194), init.axis("width", model.width), init.axis("outputs", 97)
    std = model.init_scale / (2 * init.length(axes[1])) ** (1 / 3)
    return init.normal("first", axes[:2], std)[...], init.normal("second", axes[1:], std)[...]


def on_digits(model):
    data = build(leaves_of("data=digits"), "data")
    return model.make(data.describe(), Init(words_of(0))), jnp.asarray(load(data).test.inputs[:9])


def outputs(model):
    network, inputs = on_digits(model)
    return network(inputs)


def plain_outputs(model):
    """Return what layers with activations between them give."""
    network, inputs = on_digits(model)
    *hidden, last = ((layer.weight[...], layer.bias[...]) for layer in network.layers)
    x = inputs.reshape(len(inputs), -1)
    for weight, bias in hidden:
        x = jax.nn.relu(x @ weight + bias)
    return x @ last[0] + last[1]


# Class and field -> overrides that set the field to `off`, what the component does, and what one without the field does.
CASES = {
    ("SGD", "momentum"): ("optimizer=sgd optimizer.momentum=0", steps, sgd),
    ("SGD", "nesterov"): ("optimizer=sgd", steps, sgd),
    ("SGD", "weight_decay"): ("optimizer=sgd", steps, sgd),
    ("Adam", "weight_decay"): ("optimizer=adam", steps, adam),
    ("SGD", "decoupled"): ("optimizer=sgd optimizer.weight_decay=0.1", steps, decayed_sgd),
    ("Adam", "decoupled"): ("optimizer=adam optimizer.weight_decay=0.1", steps, decayed_adam),
    ("SGD", "warmup_steps"): ("optimizer=sgd optimizer.schedule=cosine", rates, cosine),
    ("Adam", "warmup_steps"): ("optimizer=adam optimizer.schedule=cosine", rates, cosine),
    ("Ridge", "weight_decay"): ("optimizer=ridge", shares, least_squares),
    ("GradientFlow", "weight_decay"): ("optimizer=gradient_flow", shares, flow),
    ("GradientDescent", "weight_decay"): ("optimizer=gradient_descent", shares, descent),
    ("MLP", "norm"): ("model=mlp model.depth=3", outputs, plain_outputs),
    ("MLP", "residual"): ("model=mlp model.depth=3", outputs, plain_outputs),
    ("QuadraticMLP", "initializer"): ("model=quadratic_mlp", initial_weights, normal_weights),
    ("Digits", "label_noise"): ("data=digits", train_targets, labels),
    ("ModularArithmetic", "sequence"): ("data=modular", train_inputs, pairs),
    ("ModularArithmetic", "pairs"): ("data=modular", train_inputs, pairs),
    ("ModularArithmetic", "label_noise"): ("data=modular", train_targets, sums),
    ("PermutationGroup", "sequence"): ("data=group", train_inputs, pairs),
    ("PermutationGroup", "pairs"): ("data=group", train_inputs, pairs),
    ("PermutationGroup", "label_noise"): ("data=group data.group=S3", train_targets, products_of_three),
    ("SparseParity", "label_noise"): ("data=sparse_parity", train_targets, parities),
    ("Gaussian", "eigenvalues"): ("data=gaussian", train_inputs, standard_normal),
    ("Gaussian", "test_cutoff"): ("data=gaussian", inputs_of_the_test, nodes),
    ("Gaussian", "num_relevant"): ("data=gaussian", targets_of_the_test, of_every_feature),
    ("Gaussian", "coefficients"): ("data=gaussian", targets_of_the_test, of_every_feature),
}
# Fields of which something else says that they do nothing.
ELSEWHERE = {
    ("Ridge", "cutoff"): "test_without_a_cutoff_every_mode_is_learned",
    ("GradientFlow", "cutoff"): "test_without_a_cutoff_every_mode_is_learned",
    ("GradientDescent", "cutoff"): "test_without_a_cutoff_every_mode_is_learned",
    **{
        (cls.__name__, "every"): "test_a_measure_of_every_eval_point_is_due_at_all"
        for cls in components()
        if issubclass(cls, Measure)
    },
    **{
        (name, "label_noise"): "test_labels_without_noise_stay_as_they_are"
        for name in ("MNIST1D", "Npz", "MNIST", "FashionMNIST", "CIFAR")
    },
    **{
        (name, "num_validation"): "test_without_validation_examples_there_is_no_such_split"
        for name in ("MNIST1D", "Digits", "MNIST", "FashionMNIST", "CIFAR")
    },
    **{
        (name, "num_params"): "test_without_a_wanted_parameter_count_the_width_stays"
        for name in ("CNN", "MLP", "QuadraticMLP", "ResNet", "Transformer", "VisionTransformer")
    },
}


@pytest.mark.parametrize("case", CASES, ids=".".join)
def test_a_field_that_is_off_does_nothing(case):
    words, of_component, without_field = CASES[case]
    component = build(leaves_of(*words.split()), words.partition("=")[0])
    assert type(component).__name__ == case[0]
    assert declared(type(component))[case[1]].is_off(getattr(component, case[1]))
    for found, expected in zip(of_component(component), without_field(component), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_measure_of_every_eval_point_is_due_at_all():
    train = train_settings(leaves_of())
    np.testing.assert_array_equal(due_steps(train, 1), eval_steps(train))


@pytest.mark.parametrize("convention", ["any", "wrong"])
def test_labels_without_noise_stay_as_they_are(convention):
    clean = np.arange(50) % 7
    np.testing.assert_array_equal(corrupt(clean, 0.0, 7, convention, seed=3), clean)


@pytest.mark.parametrize("words", [("data=mnist1d", "data.num_test=40"), ("data=digits",), ("data=mnist", "data.num_test=20")])
def test_without_validation_examples_there_is_no_such_split(words, tmp_path):
    if "data=mnist" in words:
        words = (*words, f"data.path={write(tmp_path, 'mnist')}")
    without, held = (load(build(leaves_of(*words, "data.num_train=8", *more), "data")) for more in ((), VALIDATION))
    assert list(without.splits) == ["train", "test"]
    assert held.splits["validation"].num == 30
    for split in ("train", "test"):
        for found, expected in zip(held.splits[split], without.splits[split], strict=True):
            np.testing.assert_array_equal(found, expected[: len(found)])


@pytest.mark.parametrize("optimizer", ["ridge", "gradient_flow", "gradient_descent"])
def test_without_a_cutoff_every_mode_is_learned(optimizer):
    """As with one that is below every mode."""
    leaves = compose_subject(f"optimizer={optimizer}").leaves
    metrics = Solved([[{**leaves, "optimizer.cutoff": cutoff} for cutoff in (0.0, 1e-12)]]).metrics
    assert metrics.keys() > {"train_loss", "test_loss"}
    for name, values in metrics.items():
        np.testing.assert_array_equal(values[0, 0], values[0, 1], err_msg=name)


@pytest.mark.parametrize(
    "words",
    [
        *(("data=modular", f"model={name}") for name in ("mlp", "quadratic_mlp", "transformer")),
        *(("data=mnist1d", f"model={name}") for name in ("cnn_1d", "vision_transformer")),
        ("data=digits", "model=resnet18"),
    ],
)
def test_without_a_wanted_parameter_count_the_width_stays(words):
    assert settle(leaves_of(*words, "train.batch_size=null", "model.width=33")).leaves["model.width"] == 33


def test_every_field_that_can_be_off_is_among_them():
    fields = {(cls.__name__, name) for cls in components() for name, leaf in declared(cls).items() if leaf.off is not ALWAYS}
    assert fields == CASES.keys() | ELSEWHERE.keys()
    assert set(ELSEWHERE.values()) <= globals().keys()
