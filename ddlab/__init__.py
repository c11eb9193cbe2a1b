"""ddlab: double descent and grokking sweeps, many trials as one compiled program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ddlab.store.results import Results, load

__version__ = "0.1.0"
__all__ = ["Results", "__version__", "load"]


def __getattr__(name: str) -> Any:
    """Import pandas only when results are asked for: the command line must start fast."""
    if name in ("load", "Results"):
        from ddlab.store import results

        return getattr(results, name)
    raise AttributeError(f"module 'ddlab' has no attribute '{name}'")
