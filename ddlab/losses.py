"""Losses per example, from outputs and targets: outputs [B, ..., K] for classes [B, ...], and [B, ...] for real numbers [B, ...].

Of an example with several targets, such as a class at each place of a sequence, a loss is the mean.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddlab.config import Column


class Outputs(NamedTuple):
    """What a network gives for B examples.

    Attributes:
        outputs: [B, *spec.output_shape].
        losses: name -> [B], what is added to the training loss; recorded as SPLIT_NAME.
        activations: name -> [B, ...], for measures (`Snapshot.network_fn`).
    """

    outputs: jax.Array
    losses: Mapping[str, jax.Array] = MappingProxyType({})
    activations: Mapping[str, jax.Array] = MappingProxyType({})


@dataclass(frozen=True)
class Loss(abc.ABC):
    """Base of training losses.

    Class attributes:
        COLUMN: what the columns SPLIT_loss hold.
        REAL_TARGETS: it takes real targets, too, and not classes alone.
    """

    COLUMN: ClassVar[Column]
    REAL_TARGETS: ClassVar[bool] = False

    @abc.abstractmethod
    def __call__(self, outputs: jax.Array, targets: jax.Array) -> jax.Array:
        """Return the loss of each example, [B]."""

    @abc.abstractmethod
    def untrained(self, targets: np.ndarray, num_classes: int | None) -> float:
        """Return the mean loss of a network that has learned nothing: all its outputs are zero.

        Args:
            targets: of all N examples, [N, ...].
            num_classes: of targets that are classes.
        """

    def objective(self, found: Outputs, targets: jax.Array) -> jax.Array:
        """Return what training makes small, [B]: this, and what the network adds to it."""
        return sum(found.losses.values(), self(found.outputs, targets))


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """-log softmax(outputs)[target], in nats."""

    COLUMN: ClassVar[Column] = Column("cross-entropy", "nats")

    def __call__(self, outputs: jax.Array, targets: jax.Array) -> jax.Array:
        one_hot = as_real(targets, outputs.shape[-1], outputs.dtype)
        return _per_example(jax.nn.logsumexp(outputs, axis=-1) - jnp.sum(outputs * one_hot, axis=-1))

    def untrained(self, targets: np.ndarray, num_classes: int | None) -> float:
        del targets
        assert num_classes is not None  # it takes no others
        return math.log(num_classes)


@dataclass(frozen=True)
class MSE(Loss):
    """The squared error against the target, one-hot where it is a class, averaged over the outputs."""

    COLUMN: ClassVar[Column] = Column("mean squared error")
    REAL_TARGETS: ClassVar[bool] = True

    def __call__(self, outputs: jax.Array, targets: jax.Array) -> jax.Array:
        return _per_example(jnp.square(outputs - as_real(targets, outputs.shape[-1], outputs.dtype)))

    def untrained(self, targets: np.ndarray, num_classes: int | None) -> float:
        return float(np.mean(np.square(targets, dtype=float))) if num_classes is None else 1 / num_classes


@dataclass(frozen=True)
class Hinge(Loss):
    """max(0, 1 + max_{j != y} f_j - f_y) of outputs f and the class y (Crammer, Singer 2001).

    Of two classes it is the hinge loss of f_1 - f_0.
    """

    COLUMN: ClassVar[Column] = Column("hinge loss")

    def __call__(self, outputs: jax.Array, targets: jax.Array) -> jax.Array:
        one_hot = as_real(targets, outputs.shape[-1], outputs.dtype)
        # Its place, not `jnp.max`, whose gradient is lost where an output is computed once more and rounded otherwise.
        largest = jnp.argmax(jnp.where(one_hot > 0, -jnp.inf, outputs), axis=-1)
        wrong = jax.nn.one_hot(largest, outputs.shape[-1], dtype=outputs.dtype)
        return _per_example(jax.nn.relu(1 + jnp.sum(outputs * (wrong - one_hot), axis=-1)))

    def untrained(self, targets: np.ndarray, num_classes: int | None) -> float:
        del targets, num_classes
        return 1.0


def as_real(targets: jax.Array, num_outputs: int, dtype: Any) -> jax.Array:
    """Return real targets as they are, and classes [B, ...] as one-hot vectors [B, ..., K]."""
    if jnp.issubdtype(targets.dtype, jnp.floating):
        return targets
    return jax.nn.one_hot(targets, num_outputs, dtype=dtype)


def error(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Return the share of the targets that are not the largest output, [B]."""
    return _per_example((jnp.argmax(outputs, axis=-1).astype(targets.dtype) != targets).astype(outputs.dtype))


def _per_example(values: jax.Array) -> jax.Array:
    """Return the means [B] of values [B, ...]."""
    return jnp.mean(values, axis=tuple(range(1, values.ndim))) if values.ndim > 1 else values
