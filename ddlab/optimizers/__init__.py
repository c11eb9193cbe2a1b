"""Optimizers: update rules that train, with their schedules, groups and modifiers, and closed forms that solve."""

from ddlab.optimizers.averages import EMA, SWA
from ddlab.optimizers.base import Optimizer
from ddlab.optimizers.closed_forms import GradientDescent, GradientFlow, Ridge, SpectralFilter
from ddlab.optimizers.groups import Group
from ddlab.optimizers.modifiers import Modifier
from ddlab.optimizers.pruning import GradualPruning
from ddlab.optimizers.rules import SGD, Adam
from ddlab.optimizers.schedules import Constant, Cosine, InverseSqrt, Schedule
from ddlab.optimizers.sharpness import SAM

__all__ = [
    "EMA",
    "SAM",
    "SGD",
    "SWA",
    "Adam",
    "Constant",
    "Cosine",
    "GradientDescent",
    "GradientFlow",
    "GradualPruning",
    "Group",
    "InverseSqrt",
    "Modifier",
    "Optimizer",
    "Ridge",
    "Schedule",
    "SpectralFilter",
]
