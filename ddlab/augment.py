"""Augmentation: what is made of the inputs of a batch before a network is trained on them, anew at each step.

Evaluation, that of the training set too, is on the inputs as they are.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from ddlab.config import Mark, leaf
from ddlab.data import Field
from ddlab.errors import ConfigError

# (name, n) -> numbers uniform in (-1, 1), [B, n] float32: of each example of the batch, its trial and the step, and of the name.
Draw = Callable[[str, int], jax.Array]

BORDERS = ("zero", "wrap")


@dataclass(frozen=True)
class Augment(abc.ABC):
    """Base of augmentations."""

    @abc.abstractmethod
    def __call__(self, inputs: jax.Array, draw: Draw) -> jax.Array:
        """Return other inputs of B examples for [B, ...], of that shape and type; all that is random comes from `draw`.

        A batch may be taken in pieces: what becomes of an example depends on no other.
        """

    def check_inputs(self, inputs: Field) -> None:
        """Raise `ConfigError` for inputs that it cannot take; the base refuses tokens."""
        if inputs.size is not None:
            raise ConfigError("train.augment: takes real inputs, and those of the data are tokens; null turns it off")


@dataclass(frozen=True)
class Shift(Augment):
    """Inputs moved by as many places as are drawn, each number from -size to size as likely, and mirrored with probability 1/2.

    Signals [L] move along L; images [H, W] or [H, W, C] along H and W, by a number each, and are mirrored left-right. With a
    border of zeros (the mean of standardised data) that is the usual random crop of an image padded with `size` zeros on each
    side (He et al. 2016, section 4.2: 4, mirrored).

    Trials that differ in `size` share what they draw.
    """

    size: int = leaf("places, at most", Mark.TRACED, low=0, high=10_000)
    border: str = leaf("what comes in: zeros, or what goes out at the other end", choices=BORDERS)
    flip: bool = leaf("mirrored with probability 1/2, images left-right")
    dimensions: int | None = leaf(
        "axes that an input is moved along, the first ones; null: two, or one of inputs [L]", choices=(1, 2)
    )

    def check_inputs(self, inputs: Field) -> None:
        super().check_inputs(inputs)
        axes = len(inputs.shape)
        dimensions = self._dimensions(axes)
        if axes < 1 or axes not in (dimensions, dimensions + 1):
            given = "null" if self.dimensions is None else self.dimensions
            raise ConfigError(f"train.augment.dimensions={given}: the data have inputs of shape {list(inputs.shape)}")

    def _dimensions(self, axes: int) -> int:
        """Return along how many axes inputs of so many axes are moved."""
        return min(2, axes) if self.dimensions is None else self.dimensions

    def __call__(self, inputs: jax.Array, draw: Draw) -> jax.Array:
        last = self._dimensions(inputs.ndim - 1)
        for axis in range(1, last + 1):
            mirrored = draw("augment_flip", 1) < 0 if self.flip and axis == last else None
            inputs = self._moved(inputs, axis, self._steps(draw(f"augment_shift_{axis}", 1)), mirrored)
        return inputs

    def _steps(self, drawn: jax.Array) -> jax.Array:
        """Return by how many places, -size to size, for numbers uniform in (-1, 1), int32 of their shape."""
        size = jnp.asarray(self.size, jnp.int32)
        number = jnp.floor((1 + drawn) / 2 * (2 * size + 1).astype(drawn.dtype)).astype(jnp.int32)
        return jnp.minimum(number, 2 * size) - size  # 1 + drawn may round to 2

    def _moved(self, inputs: jax.Array, axis: int, steps: jax.Array, mirrored: jax.Array | None) -> jax.Array:
        """Return inputs moved along one axis by `steps` [B, 1] places, and then, where `mirrored` [B, 1] says so, mirrored."""
        length = inputs.shape[axis]
        places = jnp.arange(length, dtype=jnp.int32)
        if mirrored is not None:
            places = jnp.where(mirrored, places[::-1], places)
        places = places - steps
        shape = [len(inputs) if each == 0 else length if each == axis else 1 for each in range(inputs.ndim)]
        inside = jax.lax.optimization_barrier(places % length)  # or XLA divides for each number of an input
        moved = jnp.take_along_axis(inputs, inside.reshape(shape), axis, mode="promise_in_bounds")
        if self.border == "wrap":
            return moved
        return jnp.where(((places >= 0) & (places < length)).reshape(shape), moved, 0)
