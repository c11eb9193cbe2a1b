"""Measures: each is a component called at eval points; see `ddlab.measures.base.Measure` for how to add one."""

from ddlab.measures.base import Measure, Snapshot, Spectrum

__all__ = ["Measure", "Snapshot", "Spectrum"]
