"""Update rules and schedules against their formulas in NumPy."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddlab.config.trial import build
from tests.support import leaves_of

pytestmark = pytest.mark.numeric


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        yield


def rates(*overrides, steps=100):
    optimizer = build(leaves_of("optimizer.learning_rate=0.5", *overrides), "optimizer")
    return np.array([optimizer.learning_rate_at(jnp.int32(step), steps) for step in range(steps)])


def test_schedules_are_their_formulas():
    t = np.arange(100)
    np.testing.assert_allclose(rates(), 0.5 * np.ones(100))
    np.testing.assert_allclose(rates("optimizer.schedule=cosine"), 0.25 * (1 + np.cos(np.pi * t / 100)), rtol=1e-9)
    inverse = rates("optimizer.schedule=inverse_sqrt", "optimizer.schedule.decay_steps=8")
    np.testing.assert_allclose(inverse, 0.5 / np.sqrt(1 + t // 8), rtol=1e-10)
    warm = rates("optimizer.warmup_steps=10")
    np.testing.assert_allclose(warm, 0.5 * np.minimum(1, (t + 1) / 10), rtol=1e-10)


def trajectory(name, *overrides):
    optimizer = build(
        leaves_of(f"optimizer={name}", "optimizer.learning_rate=0.1", "optimizer.weight_decay=0.2", *overrides), "optimizer"
    )
    rule = optimizer.make(0.1)
    w = jnp.array([1.0, -2.0])
    state = rule.init(w)
    for k in range(20):
        gradient = jnp.array([np.sin(k + 1.0), np.cos(k)])
        update, state = rule.update(gradient, state, w)
        w = w + update
    return np.asarray(w)


def reference(kind, nesterov=False, momentum=0.7, b1=0.9, b2=0.999):
    w, m, v = np.array([1.0, -2.0]), np.zeros(2), np.zeros(2)
    for k in range(20):
        g = np.array([np.sin(k + 1.0), np.cos(k)])
        if kind != "adamw":
            g = g + 0.2 * w
        if kind == "sgd":
            m = momentum * m + g
            w = w - 0.1 * (g + momentum * m if nesterov else m)
            continue
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        step = m / (1 - b1 ** (k + 1)) / (np.sqrt(v / (1 - b2 ** (k + 1))) + 1e-8)
        w = w - 0.1 * (step + (0.2 * w if kind == "adamw" else 0))
    return w


@pytest.mark.parametrize("kind", ["sgd", "adam", "adamw"])
def test_update_rules(kind):
    extra = ("optimizer.momentum=0.7",) if kind == "sgd" else ()
    np.testing.assert_allclose(trajectory(kind, *extra), reference(kind), rtol=1e-10)


def test_nesterov_momentum():
    np.testing.assert_allclose(
        trajectory("sgd", "optimizer.momentum=0.7", "optimizer.nesterov=true"), reference("sgd", nesterov=True), rtol=1e-10
    )
