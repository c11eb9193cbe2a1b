"""Optimizers: update rules that train, and closed forms that solve."""

from ddlab.optimizers.base import Optimizer
from ddlab.optimizers.closed_forms import GradientDescent, GradientFlow, Ridge, SpectralFilter
from ddlab.optimizers.rules import SGD, Adam, AdamW

__all__ = ["SGD", "Adam", "AdamW", "GradientDescent", "GradientFlow", "Optimizer", "Ridge", "SpectralFilter"]
