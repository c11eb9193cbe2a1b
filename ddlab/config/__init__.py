"""What a config key means: declared once, at the field of the component that reads it."""

from ddlab.config.columns import Column
from ddlab.config.declare import Mark, leaf, named_leaf, seed_leaf

__all__ = ["Column", "Mark", "leaf", "named_leaf", "seed_leaf"]
