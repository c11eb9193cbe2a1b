"""A mixture of experts: small networks, of which a router chooses some for each example."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx

from ddlab.config import Mark, leaf
from ddlab.data import Spec
from ddlab.errors import ConfigError
from ddlab.losses import Outputs
from ddlab.models.base import Model
from ddlab.models.init import Axis, Init
from ddlab.models.inputs import num_features, project
from ddlab.models.layers import ACTIVATIONS, INITIALIZERS
from ddlab.models.products import matmul


@dataclass(frozen=True)
class MixtureOfExperts(Model):
    """sum_e g_e (V_e s(W_e x + b_e) + c_e) over the `top` experts e of the largest g (Jacobs et al. 1991; Shazeer et al. 2017).

    g is the softmax of R x + r over all experts, as in Fedus et al. 2021 for top 1; those that are not chosen count nothing. No
    loss balances them. An expert whose weights W and V are all 0 is gone: it is never chosen. All are computed for each example.

    P = E (d h + h + h K + K) + d E + E, for E experts of h hidden units and d inputs.
    """

    experts: int = leaf("experts E", Mark.SIZE, low=1, high=10_000)
    width: int = leaf("hidden units of each", Mark.SIZE, low=1, high=10**6)
    top: int = leaf("experts that are chosen for an example", low=1)
    activation: str = leaf("non-linearity", choices=tuple(ACTIVATIONS))
    initializer: str = leaf("distribution of the initial weights", choices=tuple(INITIALIZERS))
    init_scale: float = leaf("multiplies every initial weight and bias", Mark.TRACED, above=0)

    def check(self) -> None:
        if self.top > self.experts:
            raise ConfigError(f"model.top={self.top}: must be at most model.experts={self.experts}")

    def make(self, spec: Spec, init: Init) -> nnx.Module:
        experts, inputs = init.axis("experts", self.experts, "expert"), init.axis("inputs", num_features(spec))
        hidden, outputs = init.axis("width", self.width), init.axis("outputs", spec.num_outputs)
        return _Network(
            self._layer("router", (), inputs, experts, init),
            self._layer("first", (experts,), inputs, hidden, init),
            self._layer("second", (experts,), hidden, outputs, init),
            self,
            spec,
        )

    def _layer(self, name: str, lead: tuple[Axis, ...], fan_in: Axis, fan_out: Axis, init: Init) -> list[nnx.Param]:
        """Return a weight [*lead, fan_in, fan_out] and a bias [*lead, fan_out]."""
        variance, bias_std = INITIALIZERS[self.initializer]
        draw, scale = (
            init.uniform if self.initializer == "torch" else init.normal,
            self.init_scale / jnp.sqrt(init.length(fan_in)),
        )
        weight = draw(f"{name}.weight", (*lead, fan_in, fan_out), variance**0.5 * scale)
        return [weight, draw(f"{name}.bias", (*lead, fan_out), bias_std * scale)]


class _Network(nnx.Module):
    def __init__(
        self, router: list[nnx.Param], first: list[nnx.Param], second: list[nnx.Param], model: MixtureOfExperts, spec: Spec
    ):
        (self.router, self.router_bias), (self.first, self.first_bias), (self.second, self.second_bias) = router, first, second
        self.activation, self.top, self.spec = ACTIVATIONS[model.activation], model.top, spec

    def __call__(self, x: jax.Array) -> Outputs:
        first, second = self.first[...], self.second[...]
        experts, inputs, width = first.shape
        weight = jnp.moveaxis(first, 0, 1).reshape(inputs, experts * width)
        hidden = self.activation(project(x, weight, self.spec).reshape(len(x), experts, width) + self.first_bias[...])
        routes = self._routes(x, jnp.any(first != 0, axis=(1, 2)) | jnp.any(second != 0, axis=(1, 2)))
        chosen = (routes[..., None] * hidden).reshape(len(x), experts * width)
        outputs = matmul(chosen, second.reshape(experts * width, -1)) + matmul(routes, self.second_bias[...])
        return Outputs(outputs, activations={"routes": routes})

    def _routes(self, x: jax.Array, alive: jax.Array) -> jax.Array:
        """Return what each expert's outputs are multiplied with, [B, E]; alive: which are not gone, [E]."""
        logits = jnp.where(alive, project(x, self.router[...], self.spec) + self.router_bias[...], -jnp.inf)
        _, best = jax.lax.top_k(logits, min(self.top, logits.shape[-1]))
        return jax.nn.softmax(logits) * jnp.sum(jax.nn.one_hot(best, logits.shape[-1], dtype=logits.dtype), axis=-2)
