"""Data sets: each is a component with `describe() -> Spec` and `load() -> Dataset`."""

from ddlab.data.base import Dataset, DataSource, Spec

__all__ = ["DataSource", "Dataset", "Spec"]
