"""Reporting: figures, tables and a page, from stored metrics only. Nothing here imports JAX."""
