"""What a measure sees and gives."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import jax

from ddlab.config import Column, leaf
from ddlab.data import TEST, TRAIN
from ddlab.losses import Outputs
from ddlab.measures.examples import Examples

Params = Any


@dataclass(frozen=True)
class Spectrum:
    """The singular value decomposition of the training features X [N, p], and how much of each mode is learned.

    Attributes:
        singular_values: of X, [r] with r = min(N, p) of the pack, descending; exact zeros last, and for modes that are cut off.
        learned: [r], share of the least-squares solution along each mode that the solution has.
        test_modes: () -> [num_test, r], the components of the test features along the right singular vectors.
    """

    singular_values: jax.Array
    learned: jax.Array
    test_modes: Callable[[], jax.Array]


@dataclass(frozen=True)
class Snapshot:
    """One trial at one eval point, inside the compiled program.

    Attributes:
        params: trainable parameters, a pytree; zero-padded units are exact zeros.
        before: the parameters at the eval point before, whether this measure was due there or not; None unless a measure sets
            `needs_before`.
        gradient: of what training makes small on the labels, without a teacher, over the whole training set, as `params`; None
            unless a measure sets `needs_gradient`.
        curvature_fn: (direction, as `params`) -> the Hessian of the same, times the direction.
        outputs_fn: (params, inputs [B, ...]) -> outputs [B, K].
        network_fn: (params, inputs [B, ...]) -> all that the network gives, named activations among it.
        mean_fn: (per_example, params, examples) -> mean over the examples of a split of `per_example(outputs, targets)`, a
            pytree of [B] arrays; evaluated in chunks, so that memory does not grow with the data.
        loss_fn: the training loss, (outputs, targets) -> [B]; see `ddlab.losses`.
        splits: name -> examples of the data; `train` and `test` for short. Of their rows the live ones are the trial's.
        labelled: the training examples with targets [N, ..., 2]: the label that is trained on, and that without noise; None
            where targets are real numbers.
        noise_variance: of a real target of a fresh example, []; None where targets are classes.
        start_fn: () -> the parameters at step 0.
        learning_rate: of the next update; nan where there are no updates.
        spectrum: of the training features, where a closed form was solved; None where a network was trained. Inputs are then
            the features of the widest trial of the pack, before scaling; `outputs_fn` scales them.
    """

    params: Params
    before: Params | None
    gradient: Params | None
    curvature_fn: Callable[[Params], Params]
    outputs_fn: Callable[[Params, jax.Array], jax.Array]
    network_fn: Callable[[Params, jax.Array], Outputs]
    mean_fn: Callable[..., Any]
    loss_fn: Callable[[jax.Array, jax.Array], jax.Array]
    splits: Mapping[str, Examples]
    labelled: Examples | None
    noise_variance: jax.Array | None
    start_fn: Callable[[], Params]
    learning_rate: jax.Array
    spectrum: Spectrum | None

    @property
    def train(self) -> Examples:
        """The training set."""
        return self.splits[TRAIN]

    @property
    def test(self) -> Examples:
        """The test set."""
        return self.splits[TEST]


@dataclass(frozen=True)
class Measure(abc.ABC):
    """Base of measures. To add one: subclass in a module of your own and name it in the config.

    Example:
        A module `mine.py` that can be imported holds ::

            @dataclass(frozen=True)
            class LargestWeight(Measure):
                def columns(self):
                    return {"largest_weight": Column("largest weight")}

                def __call__(self, snapshot):
                    largest = [jnp.abs(w).max() for w in jax.tree.leaves(snapshot.params)]
                    return {"largest_weight": jnp.stack(largest).max()}

        and `ddlab sweep NAME '+measures.largest._target_=mine.LargestWeight'` adds the column `largest_weight`. What costs much
        need not be measured at each eval point: with `+measures.largest.every=8` it is nan at seven of eight.

    Class attributes:
        needs_gradient: the measure reads `snapshot.gradient`, which costs a backward pass over the training set.
        needs_spectrum: the measure reads `snapshot.spectrum`: for the exact solver only.
        needs_before: the measure reads `snapshot.before`: for networks that are trained from step 0, where it is nan.
    """

    every: int = leaf("measured at every so many eval points; at the first and the last, always", low=1, off=1)

    needs_gradient: ClassVar[bool] = False
    needs_spectrum: ClassVar[bool] = False
    needs_before: ClassVar[bool] = False

    @abc.abstractmethod
    def columns(self) -> Mapping[str, Column]:
        """Return what it gives at an eval point: columns of `results.curves`, by their names, which no other measure gives."""

    @abc.abstractmethod
    def __call__(self, snapshot: Snapshot) -> dict[str, jax.Array]:
        """Return a number (or short vector) for each of its columns; nan: not measured."""

    def num_values(self, num_outputs: int) -> int:
        """Return how many numbers it gives at an eval point, for the planner to know what they take of memory."""
        del num_outputs
        return len(self.columns())

    def num_entries(self, num_units: int) -> int:
        """Return how many numbers of a trial it has in memory while it measures, if they may be many.

        Args:
            num_units: of the network, outputs of all its weight matrices.
        """
        del num_units
        return 0


@dataclass(frozen=True)
class AlongPath(Measure):
    """Base of measures of which the final model decides what they measure of earlier ones: by the frequencies that it ends with.

    It gives numbers, no vectors; of an earlier model the learning rate is not known (nan).

    The parameters at its eval points are kept until the end of training, which takes memory: `every` says how many. It is
    measured there, and shown as if it had been at each; its columns are `Column(label, along_path=True)`. Trials that end early
    have none: `train.stop_metric` must be null.
    """

    @abc.abstractmethod
    def final(self, snapshot: Snapshot) -> Any:
        """Return what it takes of the final model, a pytree of arrays."""

    @abc.abstractmethod
    def at(self, snapshot: Snapshot, final: Any) -> dict[str, jax.Array]:
        """Return a number for each of its columns at an earlier model, given what `final` gave."""

    def __call__(self, snapshot: Snapshot) -> dict[str, jax.Array]:
        """Return what it gives of the final model itself."""
        return self.at(snapshot, self.final(snapshot))
