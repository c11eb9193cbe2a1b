"""Widths solved for; forward passes against NumPy; the distribution of initial weights."""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ddlab.config.trial import build
from ddlab.errors import ConfigError
from ddlab.models import Init, Model, lookup, matmul
from ddlab.models.init import draw_words
from ddlab.models.size import count, size_of
from ddlab.run.settle import settle
from ddlab.streams import stream
from tests.support import leaves_of, make_pack, named_leaves, words_of

pytestmark = pytest.mark.numeric

TOKENS = ("data=modular", "data.modulus=7", "train.batch_size=null", "model.width=16")


@pytest.mark.parametrize("wanted", [300, 1000, 4663, 50_000])
def test_the_width_is_solved_for_a_wanted_parameter_count(wanted):
    leaves, size, _ = settle(leaves_of("model.depth=2", f"model.num_params={wanted}"))
    width = leaves["model.width"]
    neighbours = [settle(leaves_of("model.depth=2", f"model.width={w}"))[1].num_params for w in (width - 1, width, width + 1)]
    assert neighbours[1] == size.num_params
    assert abs(size.num_params - wanted) == min(abs(number - wanted) for number in neighbours)


def test_too_few_wanted_parameters_are_refused():
    with pytest.raises(ConfigError, match=r"model\.num_params=10: must be at least 61"):
        settle(leaves_of("model.num_params=10"))


def weights_of(leaves):
    program, inputs = make_pack([leaves])
    begun = jax.device_get(jax.jit(program.init)(inputs))
    return program, inputs, {name: np.asarray(a[0], float) for name, a in named_leaves(begun.trial.params).items()}


def gelu(z):
    return 0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu", "quadratic"])
@pytest.mark.parametrize("parametrization", ["standard", "ntk", "mean_field"])
def test_mlp_forward_pass_against_numpy(activation, parametrization):
    width = 6
    overrides = ("model.depth=2", f"model.width={width}", f"model.activation={activation}", "train.loss=mse")
    leaves = leaves_of(*overrides, f"model.parametrization={parametrization}", "data.num_train=50", "data.num_test=50")
    program, inputs, weights = weights_of(leaves)
    act = {"relu": lambda z: np.maximum(z, 0), "tanh": np.tanh, "gelu": gelu, "quadratic": np.square}[activation]
    fans = {
        "standard": (1, 1, 1),
        "ntk": (40**-0.5, width**-0.5, width**-0.5),
        "mean_field": (40**-0.5, width**-0.5, 1 / width),
    }
    h = inputs.shared["test_inputs"].astype(float)
    for layer, multiplier in enumerate(fans[parametrization]):
        z = multiplier * (h @ weights[f"layers.{layer}.weight"] + weights[f"layers.{layer}.bias"])
        h = act(z) if layer < 2 else z
    expected = ((h - np.eye(10)[inputs.shared["test_targets"]]) ** 2).mean()
    measured = jax.jit(lambda: program.evaluate(program.init(inputs), inputs))()["test_loss"][0]
    np.testing.assert_allclose(measured, expected, rtol=1e-5)


def test_quadratic_mlp_solves_modular_addition_with_gromovs_weights():
    """The analytic solution of Gromov (2023): accuracy .41 / .86 / 1.0 at width 24 / 48 / 192 (REFERENCES, mean over phases)."""
    p = 97
    for width, low, high in ((24, 0.25, 0.6), (48, 0.7, 0.97), (192, 0.99, 1.0)):
        leaves = leaves_of(
            "data=modular", "model=quadratic_mlp", f"model.width={width}", "train.batch_size=null", "train.loss=mse"
        )
        program, inputs = make_pack([leaves])
        random = np.random.default_rng(0)
        k, first, second = np.arange(1, width + 1) % (p // 2) + 1, *(random.uniform(0, 2 * np.pi, (2, width)))
        tokens = np.arange(p)[:, None] * 2 * np.pi * k / p
        w1 = np.concatenate([np.cos(tokens + first), np.cos(tokens + second)])
        w2 = np.cos(tokens + first + second).T
        state = jax.jit(program.init)(inputs)
        leaves_now, tree = jax.tree.flatten(state.trial.params)
        new = [np.asarray(w, np.float32)[None] for w in (w1, w2)]
        assert [leaf.shape for leaf in leaves_now] == [array.shape for array in new]
        state = state._replace(trial=state.trial._replace(params=jax.tree.unflatten(tree, new)))
        accuracy = 1 - float(jax.jit(program.evaluate)(state, inputs)["test_error"][0])
        assert low <= accuracy <= high, (width, accuracy)


@pytest.mark.parametrize(("initializer", "gain"), [("torch", 1 / 3), ("he", 2.0), ("lecun", 1.0)])
def test_initial_weights_have_the_variance_of_their_initializer(initializer, gain):
    _, _, weights = weights_of(leaves_of("model.width=400", f"model.initializer={initializer}", "data.num_train=100"))
    for name, fan_in in (("layers.0.weight", 40), ("layers.1.weight", 400)):
        values = weights[name].ravel()
        error = gain / fan_in * 5 * np.sqrt(2 / len(values))
        assert abs(values.var() - gain / fan_in) < error, name
        assert abs(values.mean()) < 5 * np.sqrt(gain / fan_in / len(values))
    if initializer == "torch":
        assert np.abs(weights["layers.0.weight"]).max() <= 40**-0.5
        assert np.abs(weights["layers.0.bias"]).max() <= 40**-0.5
    else:
        assert not weights["layers.0.bias"].any()


def test_initial_scale_multiplies_every_weight():
    one, three = (weights_of(leaves_of(f"model.init_scale={scale}", "data.num_train=100"))[2] for scale in (1, 3))
    for name in one:
        np.testing.assert_allclose(three[name], 3 * one[name], rtol=1e-6)


def test_a_draw_is_a_corner_of_any_larger_draw_and_streams_differ():
    def draw(name, rows, columns, padded=None):
        @jax.jit
        def drawn():
            init = Init(lambda name, shape: draw_words(stream(3, "init"), {"other": (3, 4), name: shape})[name], padded)
            return init.normal(name, (init.axis("inputs", rows), init.axis("width", columns)), 1.0)[...]

        return np.asarray(drawn())

    large = draw("a", 20, 30)
    for rows, columns in ((1, 1), (20, 7), (13, 30), (19, 29)):
        np.testing.assert_array_equal(draw("a", rows, columns), large[:rows, :columns])
    assert not np.isin(draw("b", 20, 30), large).any()
    padded = draw("a", 20, 7, {"width": 30})
    np.testing.assert_array_equal(padded[:, :7], large[:, :7])
    assert not padded[:, 7:].any()
    assert len(np.unique(large)) == large.size


@pytest.mark.parametrize(
    ("overrides", "products"),
    [
        (("model.width=30", "model.depth=3"), 40 * 30 + 2 * 30 * 30 + 30 * 10),
        ((*TOKENS, "model=quadratic_mlp"), 16 * 7),  # tokens are looked up
        ((*TOKENS, "model.depth=2"), 16 * 16 + 16 * 7),
    ],
)
def test_multiply_adds_of_an_example_are_those_of_the_matrix_products(overrides, products):
    assert settle(leaves_of(*overrides))[1].num_products == products


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


@pytest.mark.parametrize("backend", ["cpu", "gpu"])
def test_many_rows_of_one_token_add_up_in_bfloat16(backend, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    table, tokens = jnp.zeros((3, 2), jnp.bfloat16), jnp.full(1024, 2)
    gradient = jax.grad(lambda table: lookup(table, tokens).astype(jnp.float32).sum())(table)
    np.testing.assert_array_equal(gradient.astype(jnp.float32), [[0, 0], [0, 0], [1024, 1024]])


@pytest.mark.parametrize("model", ["quadratic_mlp", "mlp"])
def test_a_network_on_tokens_is_the_network_on_one_hot_inputs(model):
    leaves = leaves_of("data=modular", "data.modulus=7", f"model={model}", "model.width=12", "train.batch_size=null")
    tokens = build(leaves, "data").describe()
    one_hot = replace(tokens, input_shape=(14,), alphabet=None)
    x = np.array([[3, 5], [0, 0], [6, 1]], np.int32)

    def outputs(spec, inputs):
        return jax.jit(lambda inputs: build(leaves, "model").make(spec, Init(words_of(0)))(inputs))(inputs)

    features = np.eye(7, dtype=np.float32)[x].reshape(3, 14)
    np.testing.assert_allclose(outputs(tokens, x), outputs(one_hot, features), rtol=1e-5, atol=1e-6)
