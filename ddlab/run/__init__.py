"""One pack, from its plan to its outcome."""
