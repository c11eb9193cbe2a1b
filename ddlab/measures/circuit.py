"""The circuit of modular arithmetic in Fourier space, as it forms (Nanda et al. 2023; Gromov 2023; Zhong et al. 2023)."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from ddlab.config import Column, Mark, leaf
from ddlab.errors import ConfigError
from ddlab.measures.base import AlongPath, Snapshot
from ddlab.measures.cyclic import (
    OfPairs,
    components,
    cosine_shares,
    key_frequencies,
    mean_where,
    softmax_losses,
    sum_shares,
    waves,
    where_whole,
)
from ddlab.measures.examples import Examples
from ddlab.measures.spectral import eigenvectors
from ddlab.measures.weights import parameter

# Share of a neuron's power above which one frequency explains it (Nanda et al. 2023, section 4.2).
EXPLAINED = 0.85

# Share of the variance along sums that key frequencies have together, and how many there are at most.
KEY_SHARE, MOST_KEYS = 0.95, 10

# Principal components of an embedding of which the circularity is the mean (Zhong et al. 2023).
COMPONENTS = 4


@dataclass(frozen=True, kw_only=True)
class LogitSpectrum(OfPairs):
    """sum_shares: of each frequency k = 1, ..., n // 2, the share of the logits' variance along cos w_k s and sin w_k s.

    sum_share and cosine_share are of all frequencies together: along functions of s = a + b, and along cos w_k (s - c) alone,
    which is stricter. The variance is over all pairs and answers, each answer's mean taken off.
    """

    def columns(self) -> dict[str, Column]:
        return {
            "sum_shares": Column("share of variance along a + b"),
            "sum_share": Column("share of variance along a + b"),
            "cosine_share": Column("share of variance along cos w(a + b - c)"),
        }

    def num_values(self, num_outputs: int) -> int:
        del num_outputs
        return self.group.num_frequencies + 2

    def __call__(self, snapshot: Snapshot) -> dict[str, jax.Array]:
        table, group = self.table(snapshot), self.group
        shares = sum_shares(table, group)
        found = {"sum_shares": shares, "sum_share": shares.sum(), "cosine_share": cosine_shares(table, group).sum()}
        return where_whole(table, found)


@dataclass(frozen=True, kw_only=True)
class EmbeddingSpectrum(OfPairs):
    """embedding_shares: of each frequency, the share of the embedding's power, the mean over tokens taken off.

    embedding_gini: the Gini coefficient over frequencies of the *norms* |F_k E|, cosine and sine together; of powers it would be
    larger. circularity: the mean over the first four principal components c of the embedding, fewer where it has fewer,
    of max_k 2 |sum_j c_j e^(i w_k j)|^2 / (n sum_j c_j^2) (Zhong et al. 2023), 1 where each is a cosine.
    inverse_participation_ratio: the mean over columns (neurons, where the parameter is a first layer) of
    sum_k |u_k|^4 / (sum_k |u_k|^2)^2 without k = 0 (Gromov 2023).

    Of a first layer on one-hot a and b it is of the rows of a.
    """

    parameter: str = leaf("dotted name of a parameter whose first rows are those of the tokens 0, ..., p - 1")

    def columns(self) -> dict[str, Column]:
        return {
            "embedding_shares": Column("share of the embedding's power"),
            "embedding_gini": Column("Gini coefficient of the embedding's norms"),
            "circularity": Column("circularity"),
            "inverse_participation_ratio": Column("inverse participation ratio"),
        }

    def num_values(self, num_outputs: int) -> int:
        del num_outputs
        return self.group.num_frequencies + 3

    def __call__(self, snapshot: Snapshot) -> dict[str, jax.Array]:
        group = self.group
        embedding = rows_of_tokens(snapshot, self.parameter, self.modulus)[jnp.asarray(group.elements)]
        weights = jnp.asarray(group.weights(), embedding.dtype)
        of_waves = waves(group.num, embedding.dtype)[:, 1:]
        along = jnp.sum(jnp.square(jnp.einsum("wkj,jd->wkd", of_waves, embedding)), axis=0)
        powers = jnp.sum(along, axis=1)
        shares = weights * powers / jnp.sum(weights * powers)
        centred = embedding - jnp.mean(embedding, axis=0)
        main = eigenvectors(centred @ centred.T)[:, -COMPONENTS:]
        turned = jnp.sum(jnp.square(jnp.einsum("wkj,jc->wkc", of_waves, main)), axis=0)
        circular = jnp.max(weights[:, None] * turned, axis=0) / group.num
        sizes = jnp.sum(jnp.square(main.T @ centred), axis=1)
        is_there = sizes > len(main) * jnp.finfo(sizes.dtype).eps * jnp.max(sizes)
        return {
            "embedding_shares": shares,
            "embedding_gini": gini(jnp.sqrt(powers)),
            "circularity": jnp.mean(circular, where=is_there),
            "inverse_participation_ratio": _participation(along),
        }


def rows_of_tokens(snapshot: Snapshot, name: str, modulus: int) -> jax.Array:
    """Return a parameter [rows, columns] of which the first rows are those of the tokens 0, ..., p - 1.

    Raises:
        ConfigError: it has another shape.
    """
    table = parameter(snapshot, name)
    if table.ndim != 2 or len(table) < modulus:
        found = f"parameter={name}: has shape {table.shape}"
        raise ConfigError(f"measures: {found}; its first {modulus} rows must be those of the tokens")
    return table


def gini(values: jax.Array) -> jax.Array:
    """Return the Gini coefficient of values [F]: sum_i (2 i - F - 1) x_(i) / (F sum x), 0 where all are equal."""
    ranks = jnp.asarray(2 * np.arange(1, len(values) + 1) - len(values) - 1, values.dtype)
    return jnp.sum(ranks * jnp.sort(values)) / (len(values) * jnp.sum(values))


def _participation(along: jax.Array) -> jax.Array:
    """Return the mean inverse participation ratio of the columns of powers [F, columns], but for padded ones, all zero."""
    total = jnp.square(jnp.sum(along, axis=0))
    ratios = jnp.sum(jnp.square(along), axis=0) / jnp.where(total > 0, total, 1)
    return jnp.sum(ratios) / jnp.sum(total > 0).astype(ratios.dtype)


@dataclass(frozen=True, kw_only=True)
class NeuronFrequencies(OfPairs):
    """neurons_explained: the share of the neurons of which one frequency explains more than 85 % of the power over all pairs.

    Explained by k: what lies along cos and sin of w_k x, of w_k y, and the four products (Nanda et al. 2023, section 4.2); power:
    of the activation at the last position without its mean. neuron_share: the mean over neurons of what its best frequency
    explains, 0 for one that never is active.
    """

    hidden: int = leaf("how many neurons there are, those of the model", Mark.TRACED, low=1)

    def num_entries(self, num_units: int) -> int:
        return 2 * self.group.num**2 * num_units  # each neuron of each pair, and along the waves

    def columns(self) -> dict[str, Column]:
        return {
            "neurons_explained": Column("neurons explained by one frequency"),
            "neuron_share": Column("power of a neuron that one frequency explains"),
        }

    def __call__(self, snapshot: Snapshot) -> dict[str, jax.Array]:
        n, (neurons, is_whole) = self.group.num, self._neurons(snapshot)
        of_waves = waves(n, neurons.dtype)[:, 1:]
        weights = jnp.asarray(self.group.weights(), neurons.dtype)[:, None] / n  # one over the square norm of each wave
        along_x, along_y = (jnp.einsum(axes, of_waves, neurons) for axes in ("wkx,xyh->wkyh", "wky,xyh->wkxh"))
        single = sum(jnp.sum(jnp.square(jnp.sum(along, axis=2)), axis=0) / n for along in (along_x, along_y))
        double = jnp.sum(jnp.square(jnp.einsum("vky,wkyh->vwkh", of_waves, along_x)), axis=(0, 1))
        total = jnp.sum(jnp.square(neurons - jnp.mean(neurons, axis=(0, 1))), axis=(0, 1))
        best = jnp.max(weights * single + weights**2 * double, axis=0) / jnp.where(total > 0, total, 1)
        number = jnp.asarray(self.hidden, best.dtype)
        found = {
            "neurons_explained": jnp.sum(best > EXPLAINED).astype(best.dtype) / number,
            "neuron_share": jnp.sum(best) / number,
        }
        return {name: jnp.where(is_whole, value, jnp.nan) for name, value in found.items()}

    def _neurons(self, snapshot: Snapshot) -> tuple[jax.Array, jax.Array]:
        """Return the neurons [n, n, hidden] of all pairs, and whether these are all there."""

        def neurons(_: str, examples: Examples) -> jax.Array:
            return snapshot.network_fn(snapshot.params, examples.inputs).activations["neurons"]

        return self.on_pairs(snapshot, neurons)


@dataclass(frozen=True, kw_only=True)
class DistanceIrrelevance(OfPairs):
    """distance_irrelevance: the mean over distances of the deviation, along s, of the right answer's logit, over that of all.

    Zhong et al. 2023: 0 where the logit depends on the distance of a and b alone (a pizza), near 1 where it does not (a clock).
    Their released training script takes the largest wrong logit instead.
    """

    def columns(self) -> dict[str, Column]:
        return {"distance_irrelevance": Column("distance irrelevance")}

    def __call__(self, snapshot: Snapshot) -> dict[str, jax.Array]:
        table, n = self.table(snapshot), self.group.num
        right = jnp.take_along_axis(table.logits, jnp.minimum(table.answers, n - 1)[..., None], axis=-1)[..., 0]
        x, distance = np.ogrid[:n, :n]
        along = right[x, self.group.sign * (x - distance) % n]  # of each x, and each x - y or x + y
        irrelevance = jnp.mean(jnp.std(along, axis=0)) / jnp.std(right)
        return where_whole(table, {"distance_irrelevance": irrelevance})


@dataclass(frozen=True, kw_only=True)
class GradientSymmetricity(OfPairs):
    """gradient_symmetricity: the mean cosine between the gradients of a logit by the embeddings of a and of b.

    Over pairs a != b and answers drawn once for all trials; of an untied embedding. Near 1: a and b enter alike, as in a pizza
    (Zhong et al. 2023).
    """

    parameter: str = leaf("dotted name of the embedding")
    samples: int = leaf("pairs and answers", low=1, high=10_000)

    def columns(self) -> dict[str, Column]:
        return {"gradient_symmetricity": Column("gradient symmetricity")}

    def __call__(self, snapshot: Snapshot) -> dict[str, jax.Array]:
        random = np.random.default_rng(0)
        elements = self.group.elements
        pairs = np.stack([random.choice(elements, 2, replace=False) for _ in range(self.samples)])
        answers = random.choice(elements, self.samples)
        names = self.sequence.split()
        tokens = np.full((self.samples, len(names)), self.modulus)
        tokens[:, [names.index("a"), names.index("b")]] = pairs
        if "o" in names:
            tokens[:, names.index("o")] = self.modulus + 1
        embedding = rows_of_tokens(snapshot, self.parameter, self.modulus)
        rest = jax.tree.structure(snapshot.params)

        def gradients(sample: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
            inputs, answer, pair = sample

            def logit(embedding_: jax.Array) -> jax.Array:
                leaves = [embedding_ if leaf is embedding else leaf for leaf in jax.tree.leaves(snapshot.params)]
                return snapshot.outputs_fn(jax.tree.unflatten(rest, leaves), inputs[None])[0, answer]

            of_a, of_b = jax.grad(logit)(embedding)[pair]
            return jnp.sum(of_a * of_b) / jnp.sqrt(jnp.sum(jnp.square(of_a)) * jnp.sum(jnp.square(of_b)))

        cosines = jax.lax.map(gradients, tuple(jnp.asarray(array, jnp.int32) for array in (tokens, answers, pairs)))
        return {"gradient_symmetricity": jnp.mean(cosines)}


@dataclass(frozen=True, kw_only=True)
class Circuit(AlongPath, OfPairs):
    """The progress measures of Nanda et al. 2023, by the key frequencies of the *final* model, all at once.

    Key frequencies: the fewest of whose shares of the final logits' variance (`LogitSpectrum`) the sum is 95 % of that of all, at
    most ten.

    restricted_loss, restricted_test_loss: the cross-entropy over all pairs, and over those of the test set, of logits of which
    only their mean over the pairs and what lies along cos w_k s and sin w_k s of key frequencies is left. excluded_loss: that
    over the training set of logits without what lies along these. key_share: the share of the logits' variance along them;
    key_cosine_share: along cos w_k (s - c) of key frequencies. num_keys: how many there are.
    """

    def columns(self) -> dict[str, Column]:
        labels = {
            "restricted_loss": "restricted loss, all pairs",
            "restricted_test_loss": "restricted loss, test pairs",
            "excluded_loss": "excluded loss, training pairs",
            "key_share": "share of the logits' variance at key frequencies",
            "key_cosine_share": "share along cos w(a + b - c) of key frequencies",
            "num_keys": "key frequencies",
        }
        return {name: Column(label, along_path=True) for name, label in labels.items()}

    def final(self, snapshot: Snapshot) -> jax.Array:
        """Return which frequencies are key, [n // 2] bool."""
        return key_frequencies(sum_shares(self.table(snapshot), self.group), KEY_SHARE, MOST_KEYS)

    def at(self, snapshot: Snapshot, final: jax.Array) -> dict[str, jax.Array]:
        table, group = self.table(snapshot), self.group
        of_sums, mean = components(table, group, final)
        of_pairs = of_sums[jnp.asarray(group.sums())]
        losses, excluded = (softmax_losses(logits, table.answers) for logits in (mean + of_pairs, table.logits - of_pairs))
        shares, cosines = (jnp.sum(jnp.where(final, found(table, group), 0)) for found in (sum_shares, cosine_shares))
        found = {
            "restricted_loss": mean_where(losses, table.is_answered),
            "restricted_test_loss": mean_where(losses, table.is_answered & ~table.in_train),
            "excluded_loss": mean_where(excluded, table.is_answered & table.in_train),
            "key_share": shares,
            "key_cosine_share": cosines,
            "num_keys": jnp.sum(final).astype(losses.dtype),
        }
        return where_whole(table, found)
