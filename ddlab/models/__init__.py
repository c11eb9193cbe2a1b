"""Networks: each is a component with `make(spec, init) -> flax.nnx.Module`."""

from ddlab.models.base import (
    Axis,
    Constant,
    Init,
    Model,
    Words,
    apply_network,
    count,
    draw_words,
    make_network,
    record_draws,
    settle_width,
    size_of,
)
from ddlab.models.features import Columns, FeatureModel, FeatureNetwork
from ddlab.models.products import lookup, matmul

__all__ = [
    "Axis",
    "Columns",
    "Constant",
    "FeatureModel",
    "FeatureNetwork",
    "Init",
    "Model",
    "Words",
    "apply_network",
    "count",
    "draw_words",
    "lookup",
    "make_network",
    "matmul",
    "record_draws",
    "settle_width",
    "size_of",
]
