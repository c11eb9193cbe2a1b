"""Products whose gradients are fast on a CPU, against the plain ones."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddlab.models import lookup, matmul

pytestmark = pytest.mark.numeric


@pytest.mark.parametrize(("fan_in", "fan_out"), [(40, 300), (300, 10), (5, 5)])
def test_matmul_and_its_gradients_are_those_of_the_plain_product(fan_in, fan_out):
    random = np.random.default_rng(0)
    x, w, g = (random.normal(size=shape) for shape in ((20, fan_in), (fan_in, fan_out), (20, fan_out)))
    with jax.enable_x64(True):
        z, pull = jax.vjp(matmul, x, w)
        np.testing.assert_allclose(z, x @ w, rtol=1e-12, atol=1e-12)
        for ours, plain in zip(pull(g), (g @ w.T, x.T @ g), strict=True):
            np.testing.assert_allclose(ours, plain, rtol=1e-12, atol=1e-12)
        expected = x.T @ (6 * (x @ w) * (x @ w))
        gradient = jax.grad(lambda w: (matmul(x, w) ** 3).sum())
        np.testing.assert_allclose(jax.jvp(gradient, (w,), (w,))[1], expected, rtol=1e-10)
        np.testing.assert_allclose(jax.vjp(gradient, w)[1](w)[0], expected, rtol=1e-10)
        np.testing.assert_allclose(jax.jvp(lambda w: matmul(x, w), (w,), (w,))[1], x @ w, rtol=1e-12)


@pytest.mark.parametrize("batched", ["alone", "tables", "tables and tokens"])
def test_lookup_and_its_gradient_are_those_of_the_one_hot_product(batched):
    random = np.random.default_rng(1)
    table, tokens, g = random.normal(size=(3, 11, 6)), random.integers(11, size=(3, 50)), random.normal(size=(3, 50, 6))
    axes = {"alone": None, "tables": (0, None, 0), "tables and tokens": (0, 0, 0)}[batched]
    with jax.enable_x64(True):

        def pulled(table, tokens, g):
            rows, pull = jax.vjp(lambda table: lookup(table, tokens), table)
            return rows, pull(g)[0]

        arguments = (table, tokens[0] if batched == "tables" else tokens, g)
        arguments = tuple(array[0] for array in arguments) if batched == "alone" else arguments
        rows, gradient = jax.vmap(pulled, axes)(*arguments) if axes else pulled(*map(jnp.asarray, arguments))
        one_hot = np.eye(11)[arguments[1]]
        np.testing.assert_allclose(rows, one_hot @ arguments[0], rtol=1e-12)
        np.testing.assert_allclose(gradient, np.swapaxes(one_hot, -1, -2) @ arguments[2], rtol=1e-12, atol=1e-12)


def test_off_the_cpu_the_gradient_of_a_lookup_is_the_same(monkeypatch):
    random = np.random.default_rng(1)
    arrays = random.normal(size=(11, 6)), random.integers(11, size=50), random.normal(size=(50, 6))
    table, tokens, g = map(jnp.asarray, arrays)
    pull = jax.vjp(lambda table: lookup(table, tokens), table)[1]
    (on_cpu,) = pull(g)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    np.testing.assert_allclose(pull(g)[0], on_cpu, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("backend", ["cpu", "gpu"])
def test_many_rows_of_one_token_add_up_in_bfloat16(backend, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    table, tokens = jnp.zeros((3, 2), jnp.bfloat16), jnp.full(1024, 2)
    gradient = jax.grad(lambda table: lookup(table, tokens).astype(jnp.float32).sum())(table)
    np.testing.assert_array_equal(gradient.astype(jnp.float32), [[0, 0], [0, 0], [1024, 1024]])
