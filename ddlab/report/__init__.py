"""Reporting: figures, tables and a page, from stored metrics only. Nothing here imports JAX."""

from ddlab.report.page import make_report

__all__ = ["make_report"]
