"""Networks: each is a component with `make(spec, init) -> flax.nnx.Module`."""

from ddlab.models.base import Axis, Constant, Init, Model, Words, count, draw_words, settle_width, size_of
from ddlab.models.features import FeatureModel, FeatureNetwork, Features
from ddlab.models.products import lookup, matmul

__all__ = [
    "Axis",
    "Constant",
    "FeatureModel",
    "FeatureNetwork",
    "Features",
    "Init",
    "Model",
    "Words",
    "count",
    "draw_words",
    "lookup",
    "matmul",
    "settle_width",
    "size_of",
]
