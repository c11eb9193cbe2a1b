"""Figure recipes: each computes a tidy frame from stored results, then draws it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ddlab.errors import ConfigError
from ddlab.report.figures.base import Recipe
from ddlab.report.figures.bias_variance import BiasVariance
from ddlab.report.figures.double_descent import DoubleDescent
from ddlab.report.figures.grokking import Grokking
from ddlab.report.figures.grokking_delay import GrokkingDelay
from ddlab.report.figures.heatmap import Heatmap
from ddlab.report.figures.risk_curve import RiskCurve
from ddlab.report.options import choose, shown

RECIPES: dict[str, type[Recipe]] = {
    "bias_variance": BiasVariance,
    "double_descent": DoubleDescent,
    "grokking": Grokking,
    "grokking_delay": GrokkingDelay,
    "heatmap": Heatmap,
    "risk_curve": RiskCurve,
}


def make_recipe(name: str, options: Mapping[str, Any]) -> Recipe:
    """Return the recipe of figure `name` from its entry in the sweep's `figures`.

    Raises:
        ConfigError: an unknown recipe or option; the line lists the known ones.
    """
    if not isinstance(name, str) or not re.fullmatch(r"\w[\w.-]{,99}", name):
        raise ConfigError(f"figures.{shown(name)}: a figure's name becomes a file's; use at most 100 letters, digits, _ and -")
    kind, chosen = choose(f"figures.{name}", "recipe", RECIPES, options)
    recipe = kind(**chosen)
    recipe.check(name)
    return recipe


__all__ = ["RECIPES", "Recipe", "make_recipe"]
