"""Scores of weights: how much one is worth keeping. Those at the start are of the whole training set, not of one batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ddlab.config import leaf
from ddlab.errors import ConfigError
from ddlab.measures import Snapshot
from ddlab.starts.base import Score


@dataclass(frozen=True)
class Magnitude(Score):
    """|w| (Han et al. 2015; Frankle, Carbin 2019)."""

    def __call__(self, snapshot: Snapshot) -> Any:
        return jax.tree.map(jnp.abs, snapshot.params)


@dataclass(frozen=True)
class Growth(Score):
    """|w| less |w| as it was drawn (Zhou et al. 2019, "magnitude increase"): what training has made larger."""

    def __call__(self, snapshot: Snapshot) -> Any:
        return jax.tree.map(lambda now, drawn: jnp.abs(now) - jnp.abs(drawn), snapshot.params, snapshot.start_fn())


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

    Of order 1 without the second term; H is the Hessian, with which w is multiplied as a whole.
    """

    order: int = leaf("of the expansion of the loss", choices=(1, 2))

    needs_gradient = True

    def __call__(self, snapshot: Snapshot) -> Any:
        first = jax.tree.map(jnp.multiply, snapshot.params, snapshot.gradient)
        if self.order == 1:
            return jax.tree.map(jnp.square, first)
        second = jax.tree.map(jnp.multiply, snapshot.params, snapshot.curvature_fn(snapshot.params))
        return jax.tree.map(lambda one, two: jnp.square(one - two / 2), first, second)
