"""Solving a pack in closed form: models that are linear in their parameters, whatever the optimizer."""
