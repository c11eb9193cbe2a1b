"""Networks: each is a component with `make(spec, init) -> flax.nnx.Module`."""

from ddlab.models.base import Axis, Constant, Init, Model, count, settle_width, stream

__all__ = ["Axis", "Constant", "Init", "Model", "count", "settle_width", "stream"]
