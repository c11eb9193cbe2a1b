"""Components of a user's own: a sound one of each kind, and others that break one rule each. A docstring says how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from ddlab.config import Column, Mark, leaf
from ddlab.losses import Loss
from ddlab.measures import Measure
from ddlab.models import Columns, FeatureModel, Init, Model, matmul
from ddlab.optimizers import Modifier, Optimizer, Schedule, SpectralFilter
from ddlab.starts import Score


def cpu_only(numbers):
    """0, by way of a decomposition that only a CPU has."""
    square = jax.lax.stop_gradient(jnp.ravel(numbers)[0] + jnp.eye(2))
    return 0 * jax.lax.linalg.schur(square.astype(jnp.float32))[0].sum()


# --- models -------------------------------------------------------------------------------------------------------------


class Network(nnx.Module):
    def __init__(self, first, second, model):
        self.first, self.second, self.model = first, second, model

    def __call__(self, x):
        return self.model.outputs(matmul(x.reshape(len(x), -1), self.first[...]), self.second[...])


@dataclass(frozen=True)
class SoundModel(Model):
    """It keeps every rule."""

    units: int = leaf("units", Mark.SIZE, low=1)
    scale: float = leaf("multiplies the first weights", Mark.TRACED, above=0)

    def make(self, spec, init):
        inputs, units = init.axis("inputs", int(np.prod(spec.inputs.shape))), init.axis("units", self.units)
        outputs = init.axis("outputs", spec.num_outputs)
        return Network(self.first(init, inputs, units), init.normal("second", (units, outputs), 0.5), self._still())

    def first(self, init, inputs, units):
        return init.normal("first", (inputs, units), self.scale)

    def outputs(self, hidden, second):
        return matmul(jnp.tanh(hidden), second)

    def _still(self):
        """A model without tracers, which a network may hold."""
        return type(self)(units=1, scale=1.0)


class Biased(Network):
    def __init__(self, first, second, model, bias):
        super().__init__(first, second, model)
        self.bias = bias

    def __call__(self, x):
        return super().__call__(x) + self.bias[...]


class CountsOtherwise(SoundModel):
    """It has a bias, but not where its parameters are counted."""

    def make(self, spec, init):
        network = super().make(spec, init)
        if type(init) is not Init:
            return network
        return Biased(network.first, network.second, network.model, init.zeros((init.axis("outputs", spec.num_outputs),)))


class BeginsOtherwise(SoundModel):
    """Its weights depend on a size, which is that of the widest trial of a pack."""

    def first(self, init, inputs, units):
        drawn = jax.random.normal(jax.random.key(units.size), (inputs.size, units.size), init.live(units).dtype)
        return nnx.Param(drawn * init.live(units))


class Wakes(SoundModel):
    """Its activation does not map 0 to 0."""

    def outputs(self, hidden, second):
        return matmul(jax.nn.sigmoid(hidden), second)


class CountsPadding(SoundModel):
    """It divides by the number of units, padded ones included."""

    def outputs(self, hidden, second):
        return super().outputs(hidden, second) / hidden.shape[1]


@jax.custom_jvp
def softened(x):
    return jnp.tanh(x)


softened.defjvp(lambda primals, tangents: (jnp.tanh(primals[0]), 0.9 * tangents[0]))


class WrongGradient(SoundModel):
    """Its activation has a derivative that is not its own."""

    def outputs(self, hidden, second):
        return matmul(softened(hidden), second)


class CompilesAnew(SoundModel):
    """A number that is drawn while the program is made is part of it."""

    def outputs(self, hidden, second):
        return super().outputs(hidden, second) + 0 * jnp.asarray(np.random.default_rng().random(), hidden.dtype)


class NeedsTheCPU(SoundModel):
    """It calls what only a CPU has."""

    def outputs(self, hidden, second):
        return super().outputs(hidden, second) + cpu_only(hidden).astype(hidden.dtype)


class NotFinite(SoundModel):
    """Its outputs are infinite."""

    def outputs(self, hidden, second):
        return super().outputs(hidden, second) + jnp.inf


def drawn_on_the_host(x):
    """Random numbers that no seed decides."""
    return jax.pure_callback(
        lambda x: np.random.default_rng().normal(size=x.shape).astype(x.dtype), x, x, vmap_method="broadcast_all"
    )


class AsksTheHost(SoundModel):
    """It draws numbers on the host: no run is like another, and no accelerator can be asked."""

    def outputs(self, hidden, second):
        return super().outputs(hidden, second) + 0.01 * drawn_on_the_host(jax.lax.stop_gradient(hidden[:, :1]))


class Powers(Columns):
    def __init__(self, num: int):
        self.num = num

    def __call__(self, x):
        return jnp.reshape(x, (len(x), -1))[:, :1] ** jnp.arange(self.num, dtype=x.dtype)


class ScaledPowers(Powers):
    def __call__(self, x):
        return super().__call__(x) / self.num


class SoundFeatures(FeatureModel):
    """It keeps every rule."""

    columns: type = Powers

    def make_columns(self, spec, init, width):
        return self.columns(width.size)


class FeaturesOfTheirNumber(SoundFeatures):
    """Its features depend on how many there are, padded ones included."""

    columns = ScaledPowers


# --- optimizers ---------------------------------------------------------------------------------------------------------


class SoundOptimizer(Optimizer):
    """It keeps every rule."""

    def direction(self):
        return optax.chain(self.changed(), optax.trace(0.5))

    def changed(self):
        return optax.identity()


def each(change):
    """Return the rule that changes each gradient for itself."""
    return optax.stateless(lambda updates, _params: jax.tree.map(change, updates))


class KeepsItsRate(SoundOptimizer):
    """Its state holds the learning rate."""

    def changed(self):
        return optax.GradientTransformation(lambda _: jnp.asarray(self.learning_rate), lambda updates, state, _: (updates, state))


class CountsEntries(SoundOptimizer):
    """It divides a gradient by the number of its entries, padded ones included."""

    def changed(self):
        return each(lambda gradient: gradient / gradient.size)


class ChangesItsState(SoundOptimizer):
    """Its state is of another type after a step than before."""

    def changed(self):
        return optax.GradientTransformation(lambda _: jnp.float32(0), lambda updates, _s, _p: (updates, jnp.int32(0)))


class SoundModifier(Modifier):
    """It keeps every rule."""

    def wrap(self, rule):
        return optax.chain(rule, each(self.changed))

    def changed(self, update):
        return 0.5 * update


class MovesAll(SoundModifier):
    """It adds something to every update, those of padded entries included."""

    def changed(self, update):
        return update - 1e-4


class SoundSchedule(Schedule):
    """It keeps every rule."""

    def __call__(self, step, num_steps):
        return 1 - step / num_steps


class BelowZero(SoundSchedule):
    """It is below zero in the second half."""

    def __call__(self, step, num_steps):
        return super().__call__(step, num_steps) - 0.5


# --- losses -------------------------------------------------------------------------------------------------------------


class SoundLoss(Loss):
    """It keeps every rule."""

    def __call__(self, outputs, targets):
        wanted = jax.nn.one_hot(targets, outputs.shape[-1], dtype=outputs.dtype)
        return jnp.mean(jnp.square(jnp.square(outputs - wanted)), axis=-1)

    def untrained(self, targets, num_classes):
        return 1 / num_classes


class Compares(SoundLoss):
    """It is measured from that of the first example."""

    def __call__(self, outputs, targets):
        losses = super().__call__(outputs, targets)
        return losses - 0.5 * losses[:1]


class WrongUntrained(SoundLoss):
    """It says that it is 1 where it has learned nothing."""

    def untrained(self, targets, num_classes):
        return 1.0


# --- closed forms -------------------------------------------------------------------------------------------------------


class SoundFilter(SpectralFilter):
    """It keeps every rule."""

    learning_rate = 0.1

    def kept(self, rate, step):
        return 1 / (1 + rate * step)


class CountsModes(SoundFilter):
    """It depends on the number of modes, which is that of the widest trial."""

    def kept(self, rate, step):
        return super().kept(rate, step) / max(1, rate.size)


class NoFiniteSolution(SoundFilter):
    """Its solution is not finite."""

    def kept(self, rate, step):
        return super().kept(rate, step) + jnp.nan


class CompiledAnew(SoundFilter):
    """A number that is drawn while the solver is made is part of it."""

    def kept(self, rate, step):
        return super().kept(rate, step) + 0 * jnp.asarray(np.random.default_rng().random(), step.dtype)


class FilterOfTheCPU(SoundFilter):
    """It calls what only a CPU has."""

    def kept(self, rate, step):
        return super().kept(rate, step) + cpu_only(rate).astype(step.dtype)


# --- measures -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SoundMeasure(Measure):
    """It keeps every rule."""

    def columns(self):
        return {"squares": Column("sum of squares")}

    def __call__(self, snapshot) -> dict[str, Any]:
        return {"squares": sum(jnp.sum(jnp.square(w)) for w in jax.tree.leaves(snapshot.params))}


class Miscounts(SoundMeasure):
    """It says that it gives one number, and gives two."""

    def __call__(self, snapshot):
        return {"squares": jnp.stack(2 * [super().__call__(snapshot)["squares"]])}


class AveragesPadding(SoundMeasure):
    """It divides by the number of parameters, padded ones included."""

    def __call__(self, snapshot):
        return {"squares": super().__call__(snapshot)["squares"] / sum(w.size for w in jax.tree.leaves(snapshot.params))}


class UndefinedAtFirst(SoundMeasure):
    """It is infinite."""

    def __call__(self, snapshot):
        return {"squares": 1 / (0 * super().__call__(snapshot)["squares"])}


class Impatient(SoundMeasure):
    """It gives something else where it is not always due."""

    def __call__(self, snapshot):
        return {"squares": super().__call__(snapshot)["squares"] + self.every}


class MeasuresTheHost(SoundMeasure):
    """It adds numbers drawn on the host."""

    def __call__(self, snapshot):
        return {"squares": drawn_on_the_host(super().__call__(snapshot)["squares"])}


# --- scores -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SoundScore(Score):
    """It keeps every rule."""

    def __call__(self, snapshot):
        return jax.tree.map(lambda weights: self.of(jnp.abs(weights)), snapshot.params)

    def of(self, sizes):
        return sizes


class NoScore(SoundScore):
    """It has none for a weight that is 0."""

    def of(self, sizes):
        return jnp.log(sizes)


class AgainstTheMean(SoundScore):
    """Padded weights count for the mean."""

    def of(self, sizes):
        return sizes / jnp.mean(sizes)
