"""Scores: how much a weight, or a set of them such as a unit, is worth keeping.

The gradient g and the Hessian H are of the loss over the whole training set, not of one batch. Where nothing else is said, the
score of a set is the sum of those of its weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ddlab.config import Mark, leaf
from ddlab.errors import ConfigError
from ddlab.measures import Snapshot
from ddlab.parameters import replaced
from ddlab.starts.base import Score


@dataclass(frozen=True)
class Magnitude(Score):
    """|w| (Han et al. 2015; Frankle, Carbin 2019), of a set the root of the sum of squares."""

    def __call__(self, snapshot: Snapshot) -> Any:
        return jax.tree.map(jnp.abs, snapshot.params)

    def of_sets(self, terms: np.ndarray) -> np.ndarray:
        return np.sqrt(np.square(terms).sum(axis=1))


@dataclass(frozen=True)
class Growth(Score):
    """|w| less |w| as it was drawn (Zhou et al. 2019, "magnitude increase"): what training has made larger."""

    def __call__(self, snapshot: Snapshot) -> Any:
        return jax.tree.map(lambda now, drawn: jnp.abs(now) - jnp.abs(drawn), snapshot.params, snapshot.start_fn())


@dataclass(frozen=True)
class Movement(Score):
    """(w^2 - w_0^2) / 2, w_0 as it was drawn: how far the weight has moved away from zero.

    Movement pruning (Sanh, Wolf, Rush 2020) adds up -w g along training; under gradient flow, dw = -g dt, that is this.
    """

    def __call__(self, snapshot: Snapshot) -> Any:
        return jax.tree.map(lambda now, drawn: (now**2 - drawn**2) / 2, snapshot.params, snapshot.start_fn())


@dataclass(frozen=True)
class RouterMass(Score):
    """Of an expert what its router gives it, a mean over the training examples (Chen et al. 2022); of all else 0."""

    def __call__(self, snapshot: Snapshot) -> Any:
        found = snapshot.network_fn(snapshot.params, snapshot.train.inputs).activations
        if "routes" not in found:
            raise ConfigError("start.mask.score: RouterMass is of mixtures of experts, such as model=moe")
        live = snapshot.train.live[:, None]
        mass = jnp.sum(jnp.where(live, found["routes"], 0), axis=0) / jnp.asarray(snapshot.train.num, found["routes"].dtype)
        return replaced(jax.tree.map(jnp.zeros_like, snapshot.params), "router_bias", mass)


@dataclass(frozen=True)
class Random(Score):
    """All alike, so that chance decides: a cut orders equal scores at random."""

    def __call__(self, snapshot: Snapshot) -> Any:
        return jax.tree.map(jnp.zeros_like, snapshot.params)


@dataclass(frozen=True)
class Snip(Score):
    """|w g|, by how much the loss changes at first where the weight goes (SNIP; Lee et al. 2019, equation 3)."""

    needs_gradient = True

    def __call__(self, snapshot: Snapshot) -> Any:
        return jax.tree.map(lambda w, g: jnp.abs(w * g), snapshot.params, snapshot.gradient)


@dataclass(frozen=True)
class Grasp(Score):
    """w (H g), H the Hessian of the loss (GraSP; Wang et al. 2020, equation 8, less its sign, as the largest are kept).

    The weights go without which |g|^2, by which the loss falls at first, is the largest. There is no temperature in it (of the
    authors' code: 200).
    """

    needs_gradient = True

    def __call__(self, snapshot: Snapshot) -> Any:
        return jax.tree.map(jnp.multiply, snapshot.params, snapshot.curvature_fn(snapshot.gradient))


@dataclass(frozen=True)
class SynFlow(Score):
    """|w| dR/d|w|, R the sum of the outputs for an input of ones of the network of all |w| (Tanaka et al. 2020, equation 1).

    Data decide nothing. Cut it in many rounds (`start.mask.rounds`), or whole layers go.
    """

    def __call__(self, snapshot: Snapshot) -> Any:
        inputs, _ = snapshot.train.piece(0, 1)
        if not jnp.issubdtype(inputs.dtype, jnp.floating):
            raise ConfigError("start.mask.score: SynFlow is of networks whose inputs are real numbers")

        def flow(sizes: Any) -> jax.Array:
            return jnp.sum(snapshot.outputs_fn(sizes, jnp.ones_like(inputs)))

        sizes = jax.tree.map(jnp.abs, snapshot.params)
        return jax.tree.map(jnp.multiply, sizes, jax.grad(flow)(sizes))


@dataclass(frozen=True)
class Taylor(Score):
    """(w g - w (H w) / 2)^2, the change of the loss where the weight goes, squared (Molchanov et al. 2017, 2019).

    Of order 1 without the second term; in H w, w is the vector of all weights. Of a set it is the square of the sum. Of order 1
    and a ReLU unit that is (2 dL/dz)^2 for a gate z that multiplies what it gives (Molchanov et al. 2019; of heads, Michel et al.
    2019): its weights from before, its bias included, and those to the layer behind each sum up to dL/dz.
    """

    order: int = leaf("of the expansion of the loss", Mark.HOST, choices=(1, 2))

    needs_gradient = True

    def __call__(self, snapshot: Snapshot) -> Any:
        first = jax.tree.map(jnp.multiply, snapshot.params, snapshot.gradient)
        if self.order == 1:
            return first
        second = jax.tree.map(jnp.multiply, snapshot.params, snapshot.curvature_fn(snapshot.params))
        return jax.tree.map(lambda one, two: one - two / 2, first, second)

    def of_sets(self, terms: np.ndarray) -> np.ndarray:
        return np.square(terms.sum(axis=1))
