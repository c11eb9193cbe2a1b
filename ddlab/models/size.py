"""How large a network is: its parameters P and the operations of one example, counted without computing anything."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ddlab.config.trial import Leaves, build, load_leaves
from ddlab.data import Spec
from ddlab.errors import ConfigError
from ddlab.models.base import apply_network, make_network
from ddlab.models.init import Axis, Init
from ddlab.parameters import Parameter, described
from ddlab.plan.shapes import Size


class _Blank(Init):
    """Gives parameters of the right shapes without drawing them, which takes most of the time of tracing a network."""

    def __init__(self) -> None:
        super().__init__(lambda _name, shape: jnp.zeros(shape, jnp.uint32))

    def draw_symmetric(self, name: str, axes: tuple[Axis, ...]) -> jax.Array:
        del name
        return jnp.zeros([axis.size for axis in axes], self._dtype)

    def _parameter(self, axes: tuple[Axis, ...], value: jax.Array) -> nnx.Param:
        del value
        return self._with_axes(axes, jnp.zeros([axis.size for axis in axes], self._dtype))


def parameters(model: Any, spec: Spec) -> dict[str, Parameter]:
    """Return the trainable parameters of a trial's network by name."""
    return parameters_of(nnx.eval_shape(lambda: make_network(model, spec, _Blank())))


def parameters_of(network: nnx.Module) -> dict[str, Parameter]:
    """Return the trainable parameters of a network by name."""
    return described(nnx.state(network, nnx.Param))


def size_at(leaves: Leaves, spec: Spec) -> Size:
    """Return what decides the cost of a trial; equal networks are traced once in a process, whatever the numbers of examples."""
    traced = _size_at(_model_config(leaves), spec.of_size(1))
    return replace(traced, num_train=spec.num_train, num_test=spec.num_evaluated)


def parameters_at(leaves: Leaves, spec: Spec) -> Mapping[str, Parameter]:
    """Return the trainable parameters of a trial's network by name; equal networks are traced once in a process."""
    return _parameters_at(_model_config(leaves), spec.of_size(1))


def _model_config(leaves: Leaves) -> str:
    return json.dumps({key: value for key, value in leaves.items() if key.startswith("model.")}, sort_keys=True)


@cache
def _size_at(model_config: str, spec: Spec) -> Size:
    return size_of(build(load_leaves(model_config), "model"), spec)


@cache
def _parameters_at(model_config: str, spec: Spec) -> Mapping[str, Parameter]:
    return MappingProxyType(parameters(build(load_leaves(model_config), "model"), spec))


def count(model: Any, spec: Spec) -> tuple[int, int]:
    """Return P, the number of trainable parameters, and the number of units (outputs of all weight matrices)."""
    return _count(nnx.eval_shape(lambda: make_network(model, spec, _Blank())))


def _count(network: nnx.Module) -> tuple[int, int]:
    params = parameters_of(network).values()
    units = sum(param.shape[-1] * (param.shape[0] if param.is_stacked else 1) for param in params if param.is_weight)
    return sum(math.prod(param.shape) for param in params), units


def size_of(model: Any, spec: Spec) -> Size:
    """Return what decides the cost of a trial of this network on this data.

    Multiply-adds are those of matrix products and convolutions for one example, lookups the entries that are gathered for it: a
    `lax.scan` counts for each of its turns, a `lax.cond` as its dearest branch, a `lax.while_loop` as one turn.

    Raises:
        ComponentError: from the model's own code.
    """
    found: list[tuple[int, int]] = []

    def outputs(x: jax.Array) -> jax.Array:
        network = make_network(model, spec, _Blank())
        found.append(_count(network))
        return apply_network(model, network, x, spec).outputs

    dtype = jnp.float32 if spec.inputs.size is None else jnp.int32
    one, two = (jax.make_jaxpr(outputs)(jax.ShapeDtypeStruct((num, *spec.inputs.shape), dtype)).jaxpr for num in (1, 2))
    products, lookups, given = (_total(two, count) - _total(one, count) for count in (_products, _lookups, _given))
    shared, operations = max(0, _total(one, _products) - products), _operations_of(one)
    num_params, num_units = found[0]
    num_units = max(1, num_units)
    sizes = (num_params, num_units, max(num_units, given), max(1, products), lookups, shared)
    return Size(*sizes, math.prod(spec.inputs.shape), spec.num_train, spec.num_evaluated, spec.num_outputs, operations)


def _total(jaxpr: Any, of_equation: Callable[[Any], int]) -> int:
    """Return what the operations of a program come to."""
    total = 0
    for equation in jaxpr.eqns:
        total += of_equation(equation)
        for value in equation.params.values():
            branches = [_total(inner, of_equation) for inner in _jaxprs(value)]
            total += equation.params.get("length", 1) * max(branches, default=0)
    return total


def _products(equation: Any) -> int:
    """Return the multiply-adds of an operation."""
    entries = math.prod(equation.outvars[0].aval.shape) if equation.outvars else 0
    if equation.primitive.name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        return entries * math.prod(equation.invars[0].aval.shape[axis] for axis in contracted)
    if equation.primitive.name == "conv_general_dilated":
        kernel, features = equation.invars[1].aval.shape, equation.params["dimension_numbers"].rhs_spec[0]
        return entries * math.prod(kernel) // kernel[features]
    return 0


def _lookups(equation: Any) -> int:
    """Return the entries that an operation gathers."""
    return math.prod(equation.outvars[0].aval.shape) if equation.primitive.name == "gather" else 0


def _given(equation: Any) -> int:
    """Return the numbers that an operation gives, if it is a product or a convolution, or copies patches for one."""
    kinds = ("dot_general", "conv_general_dilated", "concatenate")
    return math.prod(equation.outvars[0].aval.shape) if equation.primitive.name in kinds else 0


def _operations_of(jaxpr: Any) -> int:
    inner = (program for equation in jaxpr.eqns for value in equation.params.values() for program in _jaxprs(value))
    return len(jaxpr.eqns) + sum(map(_operations_of, inner))


def _jaxprs(value: Any) -> list[Any]:
    """Return the programs in a parameter of an operation: one, those of the branches of a condition, or none."""
    values = value if isinstance(value, tuple | list) else (value,)
    inner = [getattr(value, "jaxpr", value) for value in values]
    return [jaxpr for jaxpr in inner if hasattr(jaxpr, "eqns")]


def settle_width(model: Any, spec: Spec, wanted: int, field: str, most: int) -> int:
    """Return the width whose parameter count is nearest to `wanted` (bisection; P grows with width).

    Args:
        model: the component.
        spec: sizes of the data.
        wanted: parameters.
        field: of the model that is its width.
        most: widest that is tried.

    Raises:
        ConfigError: no width has about so many parameters.
    """

    def num_params(width: int) -> int:
        return count(replace(model, **{field: width}), spec)[0]

    if num_params(1) > wanted:
        raise ConfigError(f"model.num_params={wanted}: must be at least {num_params(1)}, the parameters at {field} 1")
    low, high = 1, 2
    while num_params(high) < wanted:
        low, high = high, 2 * high
        if high > 2 * most:
            raise ConfigError(f"model.num_params={wanted}: is more than {type(model).__name__} has at any {field} up to {most}")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if num_params(middle) < wanted else (low, middle)
    return min((low, high), key=lambda width: abs(num_params(width) - wanted))
