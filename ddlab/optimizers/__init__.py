"""Optimizers: update rules that train, with their schedules, groups and modifiers, and closed forms that solve."""

from ddlab.optimizers.base import Optimizer
from ddlab.optimizers.closed_forms import GradientDescent, GradientFlow, Ridge, SpectralFilter
from ddlab.optimizers.groups import Group
from ddlab.optimizers.modifiers import Modifier
from ddlab.optimizers.rules import SGD, Adam
from ddlab.optimizers.schedules import Constant, Cosine, InverseSqrt, Schedule

__all__ = [
    "SGD",
    "Adam",
    "Constant",
    "Cosine",
    "GradientDescent",
    "GradientFlow",
    "Group",
    "InverseSqrt",
    "Modifier",
    "Optimizer",
    "Ridge",
    "Schedule",
    "SpectralFilter",
]
