"""Figure recipes: each computes a tidy frame from stored results, then says how it is shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ddlab.errors import ConfigError
from ddlab.report.figures.base import Recipe
from ddlab.report.figures.bias_variance import BiasVariance
from ddlab.report.figures.curve import DOUBLE_DESCENT, Curve
from ddlab.report.figures.grokking import Grokking
from ddlab.report.figures.grokking_delay import GrokkingDelay
from ddlab.report.figures.heatmap import Heatmap
from ddlab.report.options import choose, option, shown

RECIPES: dict[str, type[Recipe]] = {
    "bias_variance": BiasVariance,
    "curve": Curve,
    "double_descent": Curve,
    "grokking": Grokking,
    "grokking_delay": GrokkingDelay,
    "heatmap": Heatmap,
    "risk_curve": Curve,
}

# Options that a name of a recipe stands for.
DEFAULTS: dict[str, Mapping[str, Any]] = {"double_descent": DOUBLE_DESCENT}


def make_recipe(name: str, options: Mapping[str, Any]) -> Recipe:
    """Return the recipe of figure `name` from its entry in the sweep's `figures`.

    Raises:
        ConfigError: an unknown recipe or option; the line lists the known ones.
    """
    if not isinstance(name, str) or not re.fullmatch(r"\w[\w.-]{,99}", name):
        raise ConfigError(f"figures.{shown(name)}: a figure's name becomes a file's; use at most 100 letters, digits, _ and -")
    kind, chosen = choose(f"figures.{name}", "recipe", RECIPES, options)
    recipe = kind(**{**DEFAULTS.get(options["recipe"], {}), **chosen})
    recipe.check(name)
    return recipe


__all__ = ["RECIPES", "Recipe", "make_recipe", "option"]
