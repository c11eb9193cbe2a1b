"""What a model component is, the network that it makes, and what that is told and gives."""

from __future__ import annotations

import abc
import inspect
from functools import partial
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from ddlab.data import Spec
from ddlab.errors import inside
from ddlab.losses import Outputs
from ddlab.models.init import Axis, Constant, Init, draw_words, folded, symmetric

# Parameters are trained, constants stay as they were drawn, batch statistics are what the network makes of them in training.
VARIABLES = (nnx.Param, Constant, nnx.BatchStat)


class Training(NamedTuple):
    """What a network is told when it is trained on B examples.

    Attributes:
        key: [2] uint32, of the trial and the step.
        places: of the examples in their batch, [B] int32.
        live: which of the examples count, [B] bool: a batch may be padded with others.
    """

    key: jax.Array
    places: jax.Array
    live: jax.Array

    def symmetric(self, name: str, axes: tuple[Axis, ...], dtype: Any) -> jax.Array:
        """Return numbers uniform in (-1, 1), [B, *axes], drawn anew for each trial, step, name and example.

        They depend neither on the padded size of an axis nor on the pieces that a batch is taken in.
        """
        shape = tuple(axis.size for axis in axes)
        keys = jax.vmap(partial(folded, self.key))(self.places)
        return symmetric(jax.vmap(lambda key: draw_words(key, {name: shape})[name])(keys), dtype)

    def draw(self, name: str, num: int) -> jax.Array:
        """Return `num` such numbers for each example, [B, num] float32."""
        return self.symmetric(name, (Axis(name, num, num),), jnp.float32)

    def keep(self, name: str, axes: tuple[Axis, ...], rate: Any, dtype: Any) -> jax.Array:
        """Return the factors of dropout (Srivastava et al. 2014), [B, *axes]: 0 with probability `rate`, else 1 / (1 - rate)."""
        uniform = (1 + self.symmetric(name, axes, dtype)) / 2
        return jnp.where(uniform < rate, jnp.zeros_like(uniform), 1 / jnp.asarray(1 - rate, dtype))


class Model(abc.ABC):
    """Base of model components. A user's own needs `make` only.

    Class attributes:
        LINEAR_IN_INPUTS: the outputs are a linear function of the inputs.
        WHOLE_BATCH: when the network is trained, what it gives for an example depends on the others of the batch, which is never
            taken in pieces. That is so of any network with batch statistics.
    """

    LINEAR_IN_INPUTS: ClassVar[bool] = False
    WHOLE_BATCH: ClassVar[bool] = False

    @abc.abstractmethod
    def make(self, spec: Spec, init: Init) -> nnx.Module:
        """Return the network: a module that maps a batch of inputs [B, *spec.inputs.shape] to outputs [B, K], or to `Outputs`.

        If its `__call__` has a parameter `training`, it is given a `Training` when it is trained, and None when it is evaluated.
        Its variables are parameters (`nnx.Param`), constants (`Constant`) and batch statistics (`nnx.BatchStat`), which it may
        change when it is trained; these keep the type of what is stored. Randomness comes from `training`, so that an
        interrupted run goes on as if it had not been.

        Every parameter must come from `init`. Inside a compiled program the fields of `self` of mark TRACED and SIZE are tracers:
        what is made of a size is an axis (`Init.axis`), never a shape.
        """


def make_network(model: Any, spec: Spec, init: Init) -> nnx.Module:
    """Return the network of a model component, as `Model.make`.

    Raises:
        ComponentError: what it gives is no network whose state is parameters and constants.
    """
    with inside(model, "make"):
        network = model.make(spec, init)
        if not isinstance(network, nnx.Module):
            raise TypeError(f"must return a flax.nnx.Module, not {type(network).__name__}")
        variables = jax.tree.leaves(nnx.state(network), is_leaf=lambda node: isinstance(node, nnx.Variable))
        for variable in variables:
            if not isinstance(variable, VARIABLES):
                kinds = "nnx.Param, ddlab.models.Constant or nnx.BatchStat"
                raise TypeError(f"variables must be {kinds}; {type(variable).__name__} is none of them")
    return network


def apply_network(model: Any, network: Any, inputs: jax.Array, spec: Spec, training: Training | None = None) -> Outputs:
    """Return what a network gives for inputs; its outputs, which it may give as [B, K], are [B, *spec.output_shape].

    Raises:
        ComponentError: it gives anything else.
    """
    with inside(model, "make"):
        given = network(inputs, training=training) if is_told(network) else network(inputs)
        found = given if isinstance(given, Outputs) else Outputs(given)
        wanted, flat = (len(inputs), *spec.output_shape), (len(inputs), spec.num_outputs)
        if not _is_real(found.outputs) or found.outputs.shape not in (wanted, flat):
            shape = getattr(found.outputs, "shape", type(found.outputs).__name__)
            raise TypeError(f"the network must give real outputs of shape {wanted}, one array; it gave {shape}")
        for name, loss in found.losses.items():
            if name in ("loss", "error"):
                raise ValueError(f"a loss of its own cannot be called '{name}', which is another metric's name")
            if not _is_real(loss) or loss.shape != (len(inputs),):
                raise TypeError(f"its loss '{name}' must be one real number for each example, not {getattr(loss, 'shape', loss)}")
    return Outputs(found.outputs.reshape(wanted), dict(found.losses), dict(found.activations))


def is_told(network: nnx.Module) -> bool:
    """Whether a network is told how it is trained, and so may give something else than in evaluation."""
    return "training" in inspect.signature(type(network).__call__).parameters


def _is_real(array: Any) -> bool:
    return isinstance(array, jax.Array) and jnp.issubdtype(array.dtype, jnp.floating)
