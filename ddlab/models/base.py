"""What a model component is, and the network that it makes."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import nnx

from ddlab.data import Spec
from ddlab.errors import inside
from ddlab.models.init import Constant, Init


class Model(abc.ABC):
    """Base of model components. A user's own needs `make` only.

    Class attributes:
        LINEAR_IN_INPUTS: the outputs are a linear function of the inputs.
    """

    LINEAR_IN_INPUTS: ClassVar[bool] = False

    @abc.abstractmethod
    def make(self, spec: Spec, init: Init) -> nnx.Module:
        """Return the network: a module that maps a batch of inputs [B, *spec.inputs.shape] to outputs [B, K].

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
            if not isinstance(variable, nnx.Param | Constant):
                raise TypeError(f"variables must be nnx.Param or ddlab.models.Constant; {type(variable).__name__} is neither")
    return network


def apply_network(model: Any, network: Any, inputs: jax.Array, spec: Spec) -> jax.Array:
    """Return the outputs [B, *spec.output_shape] of a network, which may give them as [B, K].

    Raises:
        ComponentError: they are anything else.
    """
    with inside(model, "make"):
        outputs = network(inputs)
        wanted, flat = (len(inputs), *spec.output_shape), (len(inputs), spec.num_outputs)
        is_real = isinstance(outputs, jax.Array) and jnp.issubdtype(outputs.dtype, jnp.floating)
        if not is_real or outputs.shape not in (wanted, flat):
            found = getattr(outputs, "shape", type(outputs).__name__)
            raise TypeError(f"the network must give real outputs of shape {wanted}, one array; it gave {found}")
    return outputs.reshape(wanted)
