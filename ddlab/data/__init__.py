"""Data sets: each is a component with `describe() -> Spec` and `load() -> Dataset`."""

from ddlab.data.base import Dataset, DataSource, Spec, describe, load

__all__ = ["DataSource", "Dataset", "Spec", "describe", "load"]
