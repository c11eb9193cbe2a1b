"""The metrics of one trial at one eval point: what training and the exact solver have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from ddlab.config.schema import Train
from ddlab.data import TRAIN
from ddlab.errors import ConfigError, inside
from ddlab.losses import Loss, Outputs, error
from ddlab.measures import AlongPath, Measure, Snapshot, Spectrum
from ddlab.measures.base import Params
from ddlab.measures.examples import Examples, mean, mean_gradient, measured_mean
from ddlab.measures.points import due_steps

Metrics = dict[str, Any]

AnyMeasure = TypeVar("AnyMeasure", bound=Measure)


@dataclass(frozen=True)
class Subject:
    """One trial at one eval point: what its metrics are computed from.

    Attributes:
        params: of the network, a pytree.
        network: (params, inputs [B, ...]) -> what the network gives.
        splits: name -> examples.
        labelled: as in `Snapshot`.
        noise_variance: of a real target of a fresh example, []; None where the test targets have their noise, or are classes.
        loss: the training loss.
        start_fn: () -> the parameters at step 0.
        learning_rate: of the next update.
        chunk: examples that go through the network at once.
        before: as in `Snapshot`.
        spectrum: of the exact solver.
    """

    params: Any
    network: Callable[[Any, jax.Array], Outputs]
    splits: Mapping[str, Examples]
    labelled: Examples | None
    noise_variance: Any
    loss: Loss
    start_fn: Callable[[], Any]
    learning_rate: Any
    chunk: int
    before: Any = None
    spectrum: Spectrum | None = None

    def losses(self) -> Metrics:
        """Return SPLIT_loss, SPLIT_error of classes, SPLIT_NAME of what the network adds to the training loss, name -> [].

        Where there is a noise variance also excess_risk.
        """

        def per_example(found: Outputs, targets: jax.Array) -> dict[str, jax.Array]:
            losses = {"loss": self.loss(found.outputs, targets)}
            if not jnp.issubdtype(targets.dtype, jnp.floating):
                losses["error"] = error(found.outputs, targets)
            return {**losses, **found.losses}

        metrics = {
            f"{split}_{name}": value
            for split, examples in self.splits.items()
            for name, value in measured_mean(self.network, per_example, self.params, examples, self.chunk).items()
        }
        if self.noise_variance is None:
            return metrics
        risk = metrics["test_loss"]
        return {**metrics, "test_loss": risk + self.noise_variance, "excess_risk": risk}

    def measured(self, measures: Sequence[Measure]) -> list[Metrics]:
        """Return what each measure gives, name -> [] (or [n]).

        Raises:
            ComponentError: from a measure's own code, or where it gives anything else.
        """
        snapshot = self._snapshot(measures)
        return [_measured(measure, measure, snapshot) for measure in measures]

    def scores(self, score: Any) -> Params:
        """Return what a score of the parameters gives, as they are."""
        snapshot = self._snapshot([score])
        with inside(score):
            found = score(snapshot)
            if [path for path, _ in jax.tree.leaves_with_path(found)] != [
                path for path, _ in jax.tree.leaves_with_path(self.params)
            ]:
                raise TypeError("must return a number for each parameter, as a pytree like snapshot.params")
        return found

    def finals(self, measures: Sequence[AlongPath]) -> list[Any]:
        """Return what measures along the path take of the final model."""
        snapshot = self._snapshot(measures)
        found = []
        for measure in measures:
            with inside(measure, "final"):
                found.append(measure.final(snapshot))
        return found

    def measured_along(self, measures: Sequence[AlongPath], finals: Sequence[Any]) -> list[Metrics]:
        """Return what each measure gives, name -> [], by what it took of the final model.

        Raises:
            ComponentError: from a measure's own code, or where it gives anything else.
        """
        snapshot = self._snapshot(measures)
        found = []
        for measure, final in zip(measures, finals, strict=True):
            metrics = _measured(measure, partial(measure.at, final=final), snapshot)
            with inside(measure, "at"):
                if vectors := [name for name, array in metrics.items() if array.ndim]:
                    raise TypeError(f"'{vectors[0]}' must be a number, not of shape {metrics[vectors[0]].shape}")
            found.append(_floating(metrics))
        return found

    def _snapshot(self, measures: Sequence[Any]) -> Snapshot:
        gradient = None
        if any(measure.needs_gradient for measure in measures):
            gradient = mean_gradient(self.network, self.loss.objective, self.params, self.splits[TRAIN], self.chunk)

        def curvature(direction: Params) -> Params:
            """Return H v as the gradient of g v: products of networks know their gradients backwards alone."""

            def slope(params: Params) -> jax.Array:
                at = jax.grad(lambda params: mean(self.network, self.loss.objective, params, self.splits[TRAIN], self.chunk))(
                    params
                )
                return sum(map(jnp.vdot, jax.tree.leaves(at), jax.tree.leaves(direction)), jnp.zeros(()))

            return jax.grad(slope)(self.params)

        def outputs(params: Any, inputs: jax.Array) -> jax.Array:
            return self.network(params, inputs).outputs

        return Snapshot(
            params=self.params,
            before=self.before,
            gradient=gradient,
            curvature_fn=curvature,
            outputs_fn=outputs,
            network_fn=self.network,
            mean_fn=lambda per_example, params, examples: mean(outputs, per_example, params, examples, self.chunk),
            loss_fn=self.loss,
            splits=self.splits,
            labelled=self.labelled,
            noise_variance=self.noise_variance,
            start_fn=self.start_fn,
            learning_rate=self.learning_rate,
            spectrum=self.spectrum,
        )


def _measured(measure: Measure, measure_fn: Callable[[Snapshot], Any], snapshot: Snapshot) -> Metrics:
    """Return what a measure gives, numbers [] and vectors [n] by name.

    Raises:
        ComponentError: from the measure's own code, or where it gives anything else.
    """
    with inside(measure):
        found = measure_fn(snapshot)
        if not isinstance(found, Mapping) or not all(isinstance(name, str) for name in found):
            raise TypeError(f"must return a mapping from names to numbers, not {type(found).__name__}")
        columns = measure.columns()
        if found.keys() != columns.keys():
            raise TypeError(f"gives {', '.join(found) or 'nothing'}, and its columns are {', '.join(columns) or 'none'}")
        arrays = {name: jnp.asarray(value) for name, value in found.items()}
        for name, array in arrays.items():
            if array.ndim > 1 or not (jnp.issubdtype(array.dtype, jnp.number) or array.dtype == bool):
                raise TypeError(f"'{name}' must be a real number or a short vector, not {array.dtype} of shape {array.shape}")
    return arrays


def check_columns(measures: Mapping[str, Measure], splits: Iterable[str], taken: Iterable[str]) -> None:
    """Raise `ConfigError` where a measure declares a column that is another measure's, a loss, or one of `taken`."""
    losses = {f"{split}_{name}" for split in splits for name in ("loss", "error")}
    known = {*taken, *losses, "excess_risk"}
    for name, measure in measures.items():
        with inside(measure, "columns"):
            own = measure.columns()
        if clash := sorted(own.keys() & known):
            raise ConfigError(f"measures.{name}: gives {clash[0]}, which is another column's name")
        known |= own.keys()


def joined(metrics: Metrics, measures: Sequence[Measure], found: Sequence[Metrics]) -> Metrics:
    """Return metrics together with what measures gave.

    Raises:
        ConfigError: a measure gives what the network adds to the training loss, which is known by its code alone.
    """
    for measure, values in zip(measures, found, strict=True):
        if taken := sorted(values.keys() & metrics.keys()):
            raise ConfigError(f"measures: {type(measure).__name__} gives {taken[0]}, which is another column's name")
        metrics = metrics | values
    return metrics


# --- when measures are due ------------------------------------------------------------------------------------------------


def by_every(measures: Mapping[str, Measure]) -> dict[int, list[Measure]]:
    """Return the measures that are due at the same eval points, by their `every`; those along the path are left out."""
    return _grouped([measure for measure in measures.values() if not isinstance(measure, AlongPath)])


def along_path(measures: Mapping[str, Measure]) -> dict[int, list[AlongPath]]:
    """Return the measures along the path that are due at the same eval points, by their `every`."""
    return _grouped([measure for measure in measures.values() if isinstance(measure, AlongPath)])


def needs_before(measures: Mapping[str, Measure]) -> bool:
    """Return whether any of some measures reads the parameters at the eval point before."""
    return any(map(_needs_before, measures.values()))


def _needs_before(measure: Measure) -> bool:
    with inside(measure):  # a class that is no subclass of `Measure` does not say
        return measure.needs_before


def _grouped(measures: list[AnyMeasure]) -> dict[int, list[AnyMeasure]]:
    return {every: list(group) for every, group in groupby(sorted(measures, key=_every), _every)}


def _every(measure: Measure) -> int:
    with inside(measure):  # a class that is no subclass of `Measure` has none
        return measure.every


def is_due(every: int, train: Train, step: jax.Array) -> jax.Array:
    """Return whether a measure is due at a step, [] bool; at a step that is no eval point it is not."""
    return jnp.any(step == jnp.asarray(due_steps(train, every), jnp.int32))


def where_due(due: jax.Array, found: Any) -> Any:
    """Return metrics, a pytree, where they are due, and nan elsewhere."""
    return jax.tree.map(lambda value: jnp.where(due, value, jnp.full_like(value, jnp.nan)), _floating(found))


def cond_due(due: jax.Array, found_fn: Callable[..., Any], *args: Any) -> Any:
    """Return `where_due(due, found_fn(*args))`; where they are not due, nothing is computed."""
    measured = jax.jit(lambda *args: _floating(found_fn(*args)))  # traced once for the shapes and for the branch
    shapes = jax.eval_shape(measured, *args)
    return jax.lax.cond(due, measured, lambda *_: jax.tree.map(lambda s: jnp.full(s.shape, jnp.nan, s.dtype), shapes), *args)


def _floating(found: Any) -> Any:
    """Return metrics as numbers of which nan is one."""
    return jax.tree.map(lambda x: x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(jnp.result_type(float)), found)
