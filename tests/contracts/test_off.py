"""A field at its `off` value does nothing, bit for bit: each is held against what has no such field."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.datasets import load_digits

from ddlab.config import ALWAYS, build
from ddlab.data import load
from ddlab.data.base import generator
from tests.contracts.shipped import components
from tests.support import leaves_of

pytestmark = pytest.mark.numeric

STEPS = 20


def rates(optimizer):
    return np.array([optimizer.learning_rate_at(jnp.int32(step), STEPS) for step in range(STEPS)])


def without_warmup(optimizer):
    """The cosine from 1 to 0, without a factor before it."""
    cosine = jax.vmap(lambda step: optimizer.learning_rate * (0.5 * (1 + jnp.cos(jnp.pi * step / STEPS))))
    return np.asarray(cosine(jnp.arange(STEPS, dtype=jnp.float32)))


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
        return np.asarray(jax.jit(lambda: jax.lax.scan(step, (start, rule.init(start)), gradients))()[1][1])


def steps(optimizer):
    return trajectory(optimizer.make(0.1))


def adam(optimizer):
    return trajectory(optax.adam(0.1, optimizer.b1, optimizer.b2, optimizer.eps))


def labels(digits):
    """Return the labels of the training examples as scikit-learn gives them."""
    return load_digits(return_X_y=True)[1][generator(digits.seed, "split").permutation(1797)][: digits.num_train]


# Class and field -> overrides that set the field to `off`, what the component does, and what one without the field does.
CASES = {
    ("SGD", "momentum"): ("optimizer=sgd optimizer.momentum=0", steps, lambda _: trajectory(optax.sgd(0.1))),
    ("SGD", "weight_decay"): ("optimizer=sgd", steps, lambda sgd: trajectory(optax.sgd(0.1, sgd.momentum))),
    ("Adam", "weight_decay"): ("optimizer=adam", steps, adam),
    ("AdamW", "weight_decay"): ("optimizer=adamw optimizer.weight_decay=0", steps, adam),
    **{
        (name, "warmup_steps"): (f"optimizer={name.lower()} optimizer.schedule=cosine", rates, without_warmup)
        for name in ("SGD", "Adam", "AdamW")
    },
    ("Digits", "label_noise"): ("data=digits", lambda data: load(data).train_targets, labels),
}


@pytest.mark.parametrize("case", CASES, ids=".".join)
def test_a_field_that_is_off_does_nothing(case):
    words, of_component, without_field = CASES[case]
    leaves = leaves_of(*words.split())
    component = build(leaves, words.partition("=")[0])
    assert (type(component).__name__, getattr(component, case[1])) == (case[0], 0)
    np.testing.assert_array_equal(of_component(component), without_field(component))


def test_every_field_that_can_be_off_is_among_them():
    fields = [(cls, field) for cls in components() for field in dataclasses.fields(cls) if "leaf" in field.metadata]
    assert {(cls.__name__, field.name) for cls, field in fields if field.metadata["leaf"].off is not ALWAYS} <= CASES.keys()
