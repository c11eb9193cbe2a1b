"""The circuit of modular arithmetic: each measure against NumPy, by the definitions of the papers."""

from __future__ import annotations

import dataclasses
import itertools
from types import MappingProxyType

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddlab.errors import ConfigError
from ddlab.losses import Outputs
from ddlab.measures import (
    Circuit,
    DistanceFromStart,
    DistanceIrrelevance,
    EffectiveRank,
    EmbeddingSpectrum,
    GradientSymmetricity,
    GroupNorm,
    LogitSpectrum,
    NeuronFrequencies,
    Snapshot,
)
from ddlab.measures.circuit import gini
from ddlab.measures.cyclic import Cyclic, components, key_frequencies
from ddlab.measures.examples import Examples

pytestmark = pytest.mark.numeric

P = 7
OPERATIONS = ("add", "subtract", "multiply", "divide")
FUNCTIONS = MappingProxyType(
    {
        "add": lambda a, b: (a + b) % P,
        "subtract": lambda a, b: (a - b) % P,
        "multiply": lambda a, b: a * b % P,
        "divide": lambda a, b: a * pow(int(b), -1, P) % P,
    }
)


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True), jax.numpy_dtype_promotion("strict"):
        yield


def pairs_of(operation):
    return np.array([pair for pair in itertools.product(range(P), repeat=2) if operation != "divide" or pair[1] > 0])


def snapshot_of(operation, outputs_fn, params, *, network_fn=None, start=None, padded=0, missing=0, sequence="a b ="):
    """Return a snapshot of all pairs in a random order, a third of them for training; with rows of nobody behind each split."""
    pairs = np.random.default_rng(1).permutation(pairs_of(operation))[missing:]
    columns = {"a": pairs[:, 0], "b": pairs[:, 1], "=": np.full(len(pairs), P), "o": np.full(len(pairs), P + 1)}
    tokens = np.stack([columns[name] for name in sequence.split()], axis=1).astype(np.int32)
    targets = np.array([FUNCTIONS[operation](a, b) for a, b in pairs], np.int32)
    splits = {}
    for name, rows in (("train", slice(None, len(pairs) // 3)), ("test", slice(len(pairs) // 3, None))):
        inputs, classes = (np.pad(array[rows], [(0, padded)] + [(0, 0)] * (array.ndim - 1)) for array in (tokens, targets))
        num = len(targets[rows])
        splits[name] = Examples((jnp.asarray(inputs)[None], jnp.asarray(classes)[None]), (0, 0), num, num)
    return Snapshot(
        params=params,
        gradient=None,
        before=None,
        curvature_fn=None,
        outputs_fn=outputs_fn,
        network_fn=network_fn or (lambda params, inputs: Outputs(outputs_fn(params, inputs))),
        mean_fn=lambda *_: None,
        loss_fn=lambda *_: None,
        splits=splits,
        labelled=None,
        noise_variance=None,
        start_fn=lambda: start,
        learning_rate=jnp.zeros(()),
        spectrum=None,
    )


def table_model(operation, values, **options):
    """Return the snapshot of a network that looks up its outputs in a table [P, P, ...] of a and b."""
    b = options.get("sequence", "a b =").split().index("b")
    return snapshot_of(
        operation, lambda params, inputs: params["table"][inputs[:, 0], inputs[:, b]], {"table": values}, **options
    )


def measure(kind, operation, **options):
    sequence = options.pop("sequence", "a b =")
    return kind(every=1, modulus=P, operation=operation, sequence=sequence, **options)


def logarithms():
    """Return the residues 1, ..., P - 1 in the order of their discrete logarithms to the base 3, a primitive root of 7."""
    return np.array([pow(3, x, P) for x in range(P - 1)])


def relabelled(operation, table):
    """Return a table [P, P, P] of a, b and answers by exponents, [n, n, n]."""
    elements = np.arange(P) if operation in ("add", "subtract") else logarithms()
    return table[np.ix_(elements, elements, elements)]


def by_outer_products(logits, sign, k):
    """Return the component of logits [n, n, n] along cos and sin of w_k (x +- y), each of norm 1 over all pairs."""
    n = len(logits)
    x, y = np.ogrid[:n, :n]
    angle = 2 * np.pi * k * (x + sign * y) / n
    found = np.zeros_like(logits)
    for wave in (np.cos(angle), np.sin(angle)):
        norm = np.square(wave).sum()
        if norm > 1e-9:
            found += wave[..., None] * np.einsum("xyz,xy->z", logits, wave) / norm
    return found


SIGNS = {"add": 1, "subtract": -1, "multiply": 1, "divide": -1}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("options", [{}, {"padded": 5}, {"sequence": "a o b ="}], ids=["", "padded", "with operator"])
def test_shares_of_the_logits_are_those_of_projections_on_waves(operation, options):
    table = np.random.default_rng(0).normal(size=(P, P, P)) + 3.0
    found = measure(LogitSpectrum, operation, sequence=options.get("sequence", "a b ="))(
        table_model(operation, jnp.asarray(table), **options)
    )
    logits, sign = relabelled(operation, table), SIGNS[operation]
    n = len(logits)
    total = np.square(logits - logits.mean(axis=(0, 1))).sum()
    shares = [np.square(by_outer_products(logits, sign, k)).sum() / total for k in range(1, n // 2 + 1)]
    np.testing.assert_allclose(found["sum_shares"], shares, rtol=1e-12)
    np.testing.assert_allclose(found["sum_share"], sum(shares), rtol=1e-12)
    x, y, z = np.ogrid[:n, :n, :n]
    waves = [np.cos(2 * np.pi * k * (x + sign * y - z) / n) for k in range(1, n // 2 + 1)]
    along = sum(np.square((logits * wave).sum()) / np.square(wave).sum() for wave in waves)
    np.testing.assert_allclose(found["cosine_share"], along / total, rtol=1e-12)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_logits_of_the_circuit_have_all_their_variance_along_its_frequency(operation):
    group = Cyclic.of(operation, P)
    table = np.zeros((P, P, P))
    for x, y, z in itertools.product(range(group.num), repeat=3):
        a, b, c = group.elements[[x, y, z]]
        assert FUNCTIONS[operation](a, b) == group.elements[(x + group.sign * y) % group.num] or b == 0
        table[a, b, c] = np.cos(2 * np.pi * 2 * (x + group.sign * y - z) / group.num)
    found = measure(LogitSpectrum, operation)(table_model(operation, jnp.asarray(table)))
    np.testing.assert_allclose(found["sum_shares"], np.arange(1, group.num // 2 + 1) == 2, atol=1e-12)
    np.testing.assert_allclose(found["cosine_share"], 1, rtol=1e-12)


def test_a_table_with_missing_pairs_is_not_measured():
    values = jnp.asarray(np.random.default_rng(0).normal(size=(P, P, P)))
    found = measure(LogitSpectrum, "add")(table_model("add", values, missing=1))
    assert all(np.isnan(value).all() for value in found.values())


@pytest.mark.parametrize("operation", OPERATIONS)
def test_components_and_losses_of_some_frequencies(operation):
    """The restricted and the excluded loss, with all key frequencies at once, by outer products."""
    values = np.random.default_rng(0).normal(size=(P, P, P))
    one, group = measure(LogitSpectrum, operation), Cyclic.of(operation, P)
    table = one.table(table_model(operation, jnp.asarray(values), padded=3))
    keys = np.isin(np.arange(1, group.num_frequencies + 1), [1, 3])
    of_sums, mean = components(table, group, jnp.asarray(keys))
    logits = relabelled(operation, values)
    expected = sum(by_outer_products(logits, group.sign, k) for k in (1, 3))
    np.testing.assert_allclose(np.asarray(of_sums)[group.sums()], expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(mean, logits.mean(axis=(0, 1)), rtol=1e-12)
    answers = group.sums()  # the answer of each pair is its s
    np.testing.assert_array_equal(table.answers, answers)
    chosen = np.asarray(table.in_train)
    found = measure(Circuit, operation).at(table_model(operation, jnp.asarray(values), padded=3), jnp.asarray(keys))
    total = np.square(logits - logits.mean(axis=(0, 1))).sum()

    def losses(logits):
        return np.log(np.exp(logits).sum(axis=-1)) - np.take_along_axis(logits, answers[..., None], axis=-1)[..., 0]

    restricted = losses(logits.mean(axis=(0, 1)) + expected)
    np.testing.assert_allclose(found["restricted_loss"], restricted.mean(), rtol=1e-10)
    np.testing.assert_allclose(found["restricted_test_loss"], restricted[~chosen].mean(), rtol=1e-10)
    np.testing.assert_allclose(found["excluded_loss"], losses(logits - expected)[chosen].mean(), rtol=1e-10)
    np.testing.assert_allclose(found["key_share"], np.square(expected).sum() / total, rtol=1e-10)
    assert int(found["num_keys"]) == keys.sum()


def test_key_frequencies_are_the_fewest_that_have_the_share():
    shares = np.array([0.1, 0.5, 0.0, 0.3, 0.04])
    assert key_frequencies(jnp.asarray(shares), 0.95, 10).tolist() == [True, True, False, True, False]
    assert key_frequencies(jnp.asarray(shares), 0.99, 10).tolist() == [True, True, False, True, True]
    assert key_frequencies(jnp.asarray(shares), 0.95, 2).tolist() == [False, True, False, True, False]
    assert key_frequencies(jnp.asarray([1.0, 0.0]), 0.95, 10).tolist() == [True, False]


def test_gini_coefficients():
    """Reference values: five of 56 equal frequencies; random embeddings of 113 x 128, of norms."""
    assert gini(jnp.asarray([1.0] * 5 + [0.0] * 51)) == pytest.approx(0.911, abs=1e-3)
    assert gini(jnp.ones(9)) == pytest.approx(0, abs=1e-12)
    values = np.random.default_rng(0).uniform(size=20)
    by_differences = np.abs(values[:, None] - values).mean() / (2 * values.mean())
    assert gini(jnp.asarray(values)) == pytest.approx(by_differences)


def embedding_of(values, operation="add"):
    kind = EmbeddingSpectrum(every=1, modulus=len(values), operation=operation, sequence="a b", parameter="embedding")
    return kind(snapshot_of("add", lambda *_: None, {"embedding": jnp.asarray(values)}))


def test_the_spectrum_of_an_embedding():
    """113 x 128 random numbers: a Gini coefficient of .028 of norms; a third row of nobody's token is left out."""
    values = np.random.default_rng(0).normal(size=(114, 128))
    kind = EmbeddingSpectrum(every=1, modulus=113, operation="add", sequence="a b =", parameter="embedding")
    found = kind(snapshot_of("add", lambda *_: None, {"embedding": jnp.asarray(values)}))
    x = np.arange(113)
    waves = [(np.cos(2 * np.pi * k * x / 113), np.sin(2 * np.pi * k * x / 113)) for k in range(1, 57)]
    powers = np.array([sum(np.square(wave @ values[:113]).sum() for wave in pair) for pair in waves])
    np.testing.assert_allclose(found["embedding_shares"], powers / powers.sum(), rtol=1e-10)
    norms = np.sqrt(powers)
    np.testing.assert_allclose(found["embedding_gini"], np.abs(norms[:, None] - norms).mean() / (2 * norms.mean()), rtol=1e-9)
    assert found["embedding_gini"] == pytest.approx(0.028, abs=0.006)
    main = np.linalg.svd(values[:113] - values[:113].mean(axis=0))[0][:, :4]
    circularity = [max(2 / 113 * sum((wave @ c) ** 2 for wave in pair) for pair in waves) for c in main.T]
    np.testing.assert_allclose(found["circularity"], np.mean(circularity), rtol=1e-9)


def test_a_circle_is_circular_and_its_columns_have_one_frequency():
    angles = 2 * np.pi * np.arange(97) / 97
    rows = [np.cos(5 * angles), np.sin(5 * angles), 0.5 * np.cos(7 * angles + 1), 0.5 * np.sin(7 * angles + 1), np.zeros(97)]
    found = embedding_of(np.stack(rows, axis=1))
    np.testing.assert_allclose([found["circularity"], found["inverse_participation_ratio"]], 1, rtol=1e-9)
    np.testing.assert_allclose(np.asarray(found["embedding_shares"])[[4, 6]], [0.8, 0.2], rtol=1e-9)


def test_directions_that_an_embedding_does_not_have_are_not_circular():
    """Rank 2 of 97 x 5, the last column padded: its two components, and no other direction."""
    values = np.random.default_rng(0).normal(size=(97, 2)) @ np.random.default_rng(1).normal(size=(2, 5))
    angles = 2 * np.pi * np.outer(np.arange(1, 49), np.arange(97)) / 97
    main = np.linalg.svd(values - values.mean(axis=0))[0][:, :2]
    powers = np.square(np.cos(angles) @ main) + np.square(np.sin(angles) @ main)
    found = embedding_of(np.hstack([values, np.zeros((97, 1))]))
    np.testing.assert_allclose(found["circularity"], (2 / 97 * powers.max(axis=0)).mean(), rtol=1e-9)


def test_the_participation_ratio_of_random_columns_is_that_of_the_reference():
    """p = 97: .04 of random weights."""
    found = embedding_of(np.random.default_rng(0).normal(size=(97, 500)))
    assert found["inverse_participation_ratio"] == pytest.approx(0.04, abs=0.005)


@pytest.mark.parametrize("operation", ["add", "divide"])
def test_neurons_by_the_frequency_that_explains_them(operation):
    """Against least squares on the eight waves of each frequency; one neuron never is active, and one is padding."""
    random = np.random.default_rng(0)
    group = Cyclic.of(operation, P)
    n = group.num
    x, y = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
    angle = 2 * np.pi * 2 / n
    neurons = np.stack(
        [
            np.cos(angle * x) + np.sin(angle * y) + np.cos(angle * x) * np.sin(angle * y) + 5,
            random.normal(size=(n, n)),
            np.cos(angle * x) + 0.5 * random.normal(size=(n, n)),
            np.zeros((n, n)),
            np.zeros((n, n)),
        ],
        axis=-1,
    )
    by_token = random.normal(size=(P, P, 5))  # of pairs that are none of the group
    by_token[np.ix_(group.elements, group.elements)] = neurons

    def network(params, inputs):
        return Outputs(jnp.zeros((len(inputs), P)), activations={"neurons": params["table"][inputs[:, 0], inputs[:, 1]]})

    snapshot = snapshot_of(operation, lambda *_: None, {"table": jnp.asarray(by_token)}, network_fn=network, padded=2)
    found = measure(NeuronFrequencies, operation, hidden=4)(snapshot)
    best = np.zeros(4)
    for k in range(1, n // 2 + 1):
        one = [np.cos(2 * np.pi * k * x / n), np.sin(2 * np.pi * k * x / n)]
        two = [np.cos(2 * np.pi * k * y / n), np.sin(2 * np.pi * k * y / n)]
        waves = np.stack([*one, *two, *(a * b for a in one for b in two)], axis=-1).reshape(n * n, 8)
        centred = neurons[..., :4].reshape(n * n, 4) - neurons[..., :4].reshape(n * n, 4).mean(axis=0)
        fitted = waves @ np.linalg.lstsq(waves, centred, rcond=1e-9)[0]
        total = np.square(centred).sum(axis=0)
        best = np.maximum(best, np.square(fitted).sum(axis=0) / np.where(total > 0, total, 1))
    assert best[0] == pytest.approx(1)
    assert found["neuron_share"] == pytest.approx(best.mean())
    assert found["neurons_explained"] == pytest.approx((best > 0.85).sum() / 4)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_distance_irrelevance(operation):
    """Of a clock, whose right logit depends on s alone, of a pizza, where it depends on the distance alone, and of neither."""
    group = Cyclic.of(operation, P)
    n, sign = group.num, group.sign
    x, y = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
    s, distance = (x + sign * y) % n, (x - sign * y) % n

    def irrelevance(right):
        by_token = np.zeros((P, P, P))
        by_token[np.ix_(group.elements, group.elements)] = right[..., None]
        found = measure(DistanceIrrelevance, operation)(table_model(operation, jnp.asarray(by_token)))
        return float(found["distance_irrelevance"])

    right = np.random.default_rng(0).normal(size=(n, n))
    along = [right[distance == d].std() for d in range(n) if (distance == d).any()]
    if n % 2:  # else s has but half of its values at one distance
        assert irrelevance(right) == pytest.approx(np.mean(along) / right.std())
        assert irrelevance(np.cos(2 * np.pi * s / n)) == pytest.approx(1)
    assert irrelevance(np.cos(2 * np.pi * distance / n)) == pytest.approx(0, abs=1e-7)


def test_a_wrong_label_that_is_no_element_is_left_out_of_the_losses():
    values = jnp.asarray(np.random.default_rng(0).normal(size=(P, P, P)))
    snapshot = table_model("multiply", values)
    keys, kind = jnp.asarray([True, False, False]), measure(Circuit, "multiply")
    clean = kind.at(snapshot, keys)
    inputs, targets = snapshot.train.arrays
    of_elements = np.flatnonzero((np.asarray(inputs[0, :, :2]) > 0).all(axis=1))
    noisy = Examples((inputs, targets.at[0, of_elements[0]].set(0)), (0, 0), snapshot.train.num, snapshot.train.most)
    found = kind.at(dataclasses.replace(snapshot, splits={**snapshot.splits, "train": noisy}), keys)
    assert found["key_share"] == clean["key_share"]
    assert found["restricted_test_loss"] == clean["restricted_test_loss"]
    assert np.isfinite(found["excluded_loss"])
    assert found["excluded_loss"] != clean["excluded_loss"]


def test_an_embedding_has_a_row_for_each_token():
    with pytest.raises(ConfigError, match=r"parameter=embedding: has shape \(5, 3\); its first 7 rows must be"):
        measure(EmbeddingSpectrum, "add", parameter="embedding")(snapshot_of("add", None, {"embedding": jnp.ones((5, 3))}))
    kind = measure(GradientSymmetricity, "add", parameter="positions", samples=3)
    with pytest.raises(ConfigError, match=r"parameter=positions: has shape \(3, 5\); its first 7 rows must be"):
        kind(snapshot_of("add", None, {"positions": jnp.ones((3, 5))}))


def test_gradient_symmetricity():
    """A network of the sum of its embeddings treats a and b alike; one of their concatenation does not."""
    random = np.random.default_rng(0)
    embedding, readout, other = (jnp.asarray(random.normal(size=shape)) for shape in ((P + 1, 5), (5, P), (5, P)))

    def summed(params, inputs):
        return jnp.tanh(params["embedding"][inputs[:, 0]] + params["embedding"][inputs[:, 1]]) @ readout

    def apart(params, inputs):
        return params["embedding"][inputs[:, 0]] @ readout + params["embedding"][inputs[:, 1]] @ other

    for network, expected in ((summed, 1.0), (apart, None)):
        kind = measure(GradientSymmetricity, "add", parameter="embedding", samples=200)
        found = kind(snapshot_of("add", network, {"embedding": embedding, "bias": jnp.zeros(2)}))["gradient_symmetricity"]
        if expected is None:
            cosines = np.einsum("dc,dc->c", readout, other)
            cosines /= np.linalg.norm(readout, axis=0) * np.linalg.norm(other, axis=0)
            assert found == pytest.approx(cosines.mean(), abs=3 * cosines.std() / 200**0.5)
        else:
            assert found == pytest.approx(expected)


def test_norms_of_groups_distances_and_ranks():
    params = {"embedding": jnp.asarray([[3.0, 0.0], [0.0, 4.0]]), "hidden": {"weight": jnp.asarray([12.0]), "bias": jnp.zeros(1)}}
    start = jax.tree.map(jnp.zeros_like, params)
    snapshot = snapshot_of("add", lambda *_: None, params, start=start)
    assert GroupNorm(group="embedding", pattern="embed*", every=1)(snapshot) == {"weight_norm_embedding": 5}
    assert GroupNorm(group="rest", pattern="hidden.*", every=1)(snapshot) == {"weight_norm_rest": 12}
    assert DistanceFromStart(every=1)(snapshot) == {"distance_from_start": 13}
    shares = np.array([3, 4]) / 7
    rank = np.exp(-(shares * np.log(shares)).sum())
    np.testing.assert_allclose(EffectiveRank(every=1, parameter="embedding")(snapshot)["effective_rank"], rank, rtol=1e-12)
    with pytest.raises(ConfigError, match=r"parameter=emb: no such parameter\. did you mean 'embedding'"):
        EffectiveRank(every=1, parameter="emb")(snapshot)
    with pytest.raises(ConfigError, match="pattern=none: matches no parameter"):
        GroupNorm(group="rest", pattern="none", every=1)(snapshot)


def test_operations_without_a_cyclic_group_are_refused():
    for modulus in (4, 8):
        with pytest.raises(ConfigError, match=rf"data.modulus={modulus}: must be a prime for the frequencies of multiply"):
            Cyclic.of("multiply", modulus)
    with pytest.raises(ConfigError, match=r"data.operation=a3\+ab: its frequencies are known for add, subtract"):
        Cyclic.of("a3+ab", 7)
