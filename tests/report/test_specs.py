"""A figure's options: mistakes named, overrides, what is documented."""

from __future__ import annotations

import pytest

from ddlab.config.declare import declared
from ddlab.errors import ConfigError
from ddlab.report.claims import KINDS
from ddlab.report.figures import RECIPES, make_recipe
from ddlab.report.specs import figure_specs, read_overrides


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"recipe": "double_decent"}, "did you mean 'double_descent'"),
        ({}, "no such recipe"),
        ({"recipe": "heatmap", "metrik": "x"}, "did you mean 'metric'"),
        ({"recipe": "grokking", "accuracy": "high"}, "must be a number"),
        ({"recipe": "grokking", "group": 3}, "must be text"),
        ({"recipe": "double_descent", "y_scale": "lin"}, "must be one of linear, log"),
    ],
)
def test_mistakes_in_a_figures_options_are_named(spec, message):
    with pytest.raises(ConfigError, match=message):
        make_recipe("f", spec)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"recipe": "double_descent", "x": "widht"}, "x=widht"),
        ({"recipe": "double_descent", "x": "data"}, "column of numbers"),
        ({"recipe": "heatmap", "metric": "test_los"}, "did you mean 'test_loss'"),
        (
            {"recipe": "double_descent", "where": {"model.width": 99}},
            r"no trial is planned with model\.width=99 \(they have 2, 4, 8, 16\)",
        ),
    ],
)
def test_columns_that_do_not_exist_are_named(results, spec, message):
    with pytest.raises(ConfigError, match=message):
        make_recipe("f", spec).frame(results)


def test_overrides_change_and_add_figures():
    figures = {"a": {"recipe": "double_descent", "x": "num_params"}}
    words = [
        "figures.a.x=model.width",
        "+figures.b.recipe=heatmap",
        "figures.a.where.seed=0",
        "figures.a.where.data.label_noise=2e-1",
    ]
    assert figure_specs(figures, read_overrides(words)) == {
        "a": {"recipe": "double_descent", "x": "model.width", "where": {"seed": 0, "data.label_noise": 0.2}},
        "b": {"recipe": "heatmap"},
    }
    for word in ("figures.c.x=1", "model.width=3", "figures.a", "figures.a.recipe.x=1"):
        with pytest.raises(ConfigError):
            figure_specs(figures, read_overrides([word]))


def test_a_selection_is_of_single_values():
    with pytest.raises(ConfigError, match=r"figures\.a\.where\.data=.*: must be one value of the column data"):
        make_recipe("a", {"recipe": "heatmap", "where": {"data": {"label_noise": 0.2}}})


def test_an_option_that_is_nothing_like_the_known_ones_lists_them():
    with pytest.raises(ConfigError, match=r"no such option of curve\. known: .*theory"):
        make_recipe("a", {"recipe": "curve", "nonsense": 1})


def test_every_option_of_a_recipe_and_of_a_claim_has_a_meaning():
    for kind in (*RECIPES.values(), *KINDS.values()):
        assert all(leaf.doc for leaf in declared(kind).values()), kind
