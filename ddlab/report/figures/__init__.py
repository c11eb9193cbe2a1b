"""Figure recipes: each computes a tidy frame from stored results, then says how it is shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ddlab.config.components import TARGET, component_class
from ddlab.errors import ConfigError, inside
from ddlab.report.figures.base import Recipe
from ddlab.report.figures.bias_variance import BiasVariance
from ddlab.report.figures.claims import Claims
from ddlab.report.figures.curve import DOUBLE_DESCENT, Curve
from ddlab.report.figures.effective_complexity import EffectiveModelComplexity
from ddlab.report.figures.grokking import Grokking
from ddlab.report.figures.heatmap import Heatmap
from ddlab.report.figures.progress import Progress
from ddlab.report.figures.spectrum import Spectrum
from ddlab.report.figures.steps_to_grok import StepsToGrok
from ddlab.report.options import check_options, choose, option, shown

RECIPES: dict[str, type[Recipe]] = {
    "bias_variance": BiasVariance,
    "claims": Claims,
    "curve": Curve,
    "double_descent": Curve,
    "effective_model_complexity": EffectiveModelComplexity,
    "grokking": Grokking,
    "heatmap": Heatmap,
    "progress": Progress,
    "risk_curve": Curve,
    "spectrum": Spectrum,
    "steps_to_grok": StepsToGrok,
}

# Options that a name of a recipe stands for.
DEFAULTS: dict[str, Mapping[str, Any]] = {"double_descent": DOUBLE_DESCENT}


def make_recipe(name: str, options: Mapping[str, Any]) -> Recipe:
    """Return the recipe of figure `name` from its entry in the sweep's `figures`: a `recipe`, or the `_target_` of a user's own.

    Raises:
        ConfigError: an unknown recipe or option; the line lists the known ones.
        ComponentError: from a user's own recipe.
    """
    if not isinstance(name, str) or not re.fullmatch(r"\w[\w.-]{,99}", name):
        raise ConfigError(f"figures.{shown(name)}: a figure's name becomes a file's; use at most 100 letters, digits, _ and -")
    if isinstance(options, Mapping) and TARGET in options:
        kind, chosen = _own(f"figures.{name}", options)
    else:
        kind, chosen = choose(f"figures.{name}", "recipe", RECIPES, options)
        chosen = {**DEFAULTS.get(options["recipe"], {}), **chosen}
    with inside(kind):
        recipe = kind(**chosen)
        recipe.check(name)
    return recipe


def _own(entry: str, options: Mapping[str, Any]) -> tuple[type[Recipe], dict[str, Any]]:
    """Return the class and the options of a recipe of a user's own.

    Raises:
        ConfigError: there is no such class, it is no recipe, or has no such option.
    """
    rest = dict(options)
    target = shown(rest.pop(TARGET))
    if target.startswith("ddlab."):
        raise ConfigError(f"{entry}.{TARGET}={target}: ddlab's own recipes go by a name, as in recipe: curve")
    kind = component_class(entry, target)
    if not issubclass(kind, Recipe):
        raise ConfigError(f"{entry}.{TARGET}={target}: must be a subclass of ddlab.report.figures.Recipe")
    with inside(kind):
        check_options(entry, kind.__name__, kind, rest)
    return kind, rest


__all__ = ["RECIPES", "Recipe", "make_recipe", "option"]
