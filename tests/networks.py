"""Networks that use all that a network may: sizes, dropout, batch statistics, losses and activations of its own."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from flax import nnx

from ddlab.config import Mark, leaf
from ddlab.models import Model, Outputs, matmul


@dataclass(frozen=True)
class Wide(Model):
    """d inputs -> width -> 2 half -> K with dropout and batch statistics; two losses of its own."""

    width: int = leaf("units", Mark.SIZE, low=1)
    half: int = leaf("half the units of the second layer", Mark.SIZE, low=1)
    rate: float = leaf("share that dropout leaves out", Mark.TRACED, low=0, below=1, off=0.0)
    weight: float = leaf("of the mean square of the units", Mark.TRACED, low=0, off=0.0)
    normalized: bool = leaf("units have batch statistics", off=False)

    def make(self, spec, init):
        inputs, outputs = init.axis("inputs", int(np.prod(spec.inputs.shape))), init.axis("outputs", spec.num_outputs)
        width, second = init.axis("width", self.width), init.axis("second", 2 * self.half)
        return _Wide(
            self.normalized,
            (width, init.length(second)),
            init.normal("a", (inputs, width), 0.3),
            init.normal("b", (width, second), 1 / jnp.sqrt(init.length(width))),
            init.normal("c", (second, outputs), 1 / jnp.sqrt(init.length(second))),
            init.constant(self.rate),
            init.constant(self.weight),
            init.statistic((width,)) if self.normalized else None,
            init.statistic((width,), 1.0) if self.normalized else None,
        )


class _Wide(nnx.Module):
    def __init__(self, normalized, axes, a, b, c, rate, weight, mean, variance):
        self.normalized, self.width = normalized, axes[0]._replace(active=0)
        self.a, self.b, self.c, self.rate, self.weight, self.mean, self.variance = a, b, c, rate, weight, mean, variance

    def __call__(self, x, training=None):
        z = matmul(x.reshape(len(x), -1), self.a[...])
        if self.normalized:
            z = self.standardized(z, training)
        h = jnp.tanh(z)
        if training is not None:
            h = h * training.keep("dropout", (self.width,), self.rate[...], h.dtype)
        g = jnp.tanh(matmul(h, self.b[...]))
        energy = self.weight[...] * jnp.sum(g**2, axis=1)
        return Outputs(matmul(g, self.c[...]), {"energy": energy}, {"hidden": h})

    def standardized(self, z, training):
        mean, variance = self.mean[...], self.variance[...]
        if training is not None:
            live = training.live[:, None].astype(z.dtype)
            mean = jnp.sum(live * z, axis=0) / jnp.sum(live)
            variance = jnp.sum(live * (z - mean) ** 2, axis=0) / jnp.sum(live)
            self.mean[...] = 0.9 * self.mean[...] + 0.1 * mean
            self.variance[...] = 0.9 * self.variance[...] + 0.1 * variance
        return (z - mean) / jnp.sqrt(variance + 1e-5)


def wide(width=5, half=3, cls=f"{__name__}.Wide", **fields):
    given = "".join(f",{name}:{value}" for name, value in fields.items())
    return "~model", f"+model={{_target_:{cls},width:{width},half:{half}{given}}}"
