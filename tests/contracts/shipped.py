"""The components that ddlab ships."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from functools import cache

import ddlab
from ddlab.contracts.compose import BASES


@cache
def components() -> frozenset[type]:
    """Return every class that is a component, whether an option names it or not."""
    modules = [importlib.import_module(module.name) for module in pkgutil.walk_packages(ddlab.__path__, "ddlab.")]
    classes = {cls for module in modules for _, cls in inspect.getmembers(module, inspect.isclass) if issubclass(cls, BASES)}
    return frozenset(cls for cls in classes if not inspect.isabstract(cls) and cls.__module__.startswith("ddlab.")) - {*BASES}
