"""A figure recipe of a user's own, named by `_target_`."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from ddlab.cli import main
from ddlab.errors import ConfigError
from ddlab.report.charts import Axis, Chart, Dots, Panel, Series, positions, values
from ddlab.report.figures import Recipe, make_recipe, option
from ddlab.report.frames import final_metrics
from ddlab.store.store import Store
from tests.support import REFERENCE

OWN = {"_target_": f"{__name__}.Spread", "where": {"quickstart": "double_descent"}}


@dataclass(frozen=True)
class Spread(Recipe):
    """The final loss of every trial, a dot each."""

    x: str = option("a numeric column of the trials", "model.width")
    opacity: float = option("of the dots", 0.5, above=0, high=1)

    def frame(self, results):
        return final_metrics(results, self.where, [self.x])[[self.x, "seed", "test_loss"]]

    def chart(self, frame):
        dots = Dots(positions(frame, [self.x]), values(frame["test_loss"]), Series("trials", "#0072B2"), opacity=self.opacity)
        return Chart([Axis("width", self.x, "log")], [Panel(Axis("test loss"), [dots])], title=self.title)

    def caption(self, frame):
        return f"The test loss of {len(frame)} trials."


@dataclass(frozen=True)
class Broken(Spread):
    def caption(self, frame):
        return 1 / 0


@dataclass(frozen=True)
class Undrawable(Recipe):
    path: Path = option("an option of a type that no entry of a sweep has", Path())


@pytest.fixture
def stored(workplace):
    """The results directory `s`, whose one figure is the user's own."""
    shutil.copytree(REFERENCE / "quickstart", "s")
    store = Store("s")
    store.write_sweep({**store.read_sweep(), "figures": {"mine": OWN}, "claims": {}})
    return Path("s")


def test_it_is_drawn_as_a_shipped_one_is(stored, capsys):
    assert main(["report", "s", "figures.mine.opacity=0.3"]) == 0
    assert "The test loss of 36 trials." in capsys.readouterr().out
    assert len(pd.read_csv(stored / "report" / "mine.csv")) == 36
    for form in ("png", "pdf", "svg"):
        assert (stored / "report" / f"mine.{form}").stat().st_size > 1000


def test_an_error_in_its_code_names_it_and_the_others_are_drawn(stored, capsys):
    assert main(["report", "s", f"+figures.broken._target_={__name__}.Broken", *own_selection("broken")]) == 1
    error = capsys.readouterr().err
    assert f"not drawn: figures.broken: {__name__}.Broken: ZeroDivisionError" in error
    assert error.count("\n") == 1
    assert (stored / "report" / "mine.png").exists()


def own_selection(figure):
    return [f"figures.{figure}.where.quickstart=double_descent"]


MISTAKES = {
    "an option too large": ({**OWN, "opacity": 2}, r"figures\.f\.opacity=2: must be above 0 and at most 1"),
    "no such option": ({**OWN, "opactiy": 1}, r"figures\.f\.opactiy: no such option of Spread\. did you mean 'opacity'"),
    "no such class": ({"_target_": f"{__name__}.Spraed"}, "cannot be imported"),
    "no recipe": ({"_target_": "ddlab_tests_support.Nothing"}, "cannot be imported"),
    "another dataclass": ({"_target_": "email.policy.EmailPolicy"}, "must be a dataclass"),
    "one of ddlab's own": ({"_target_": "ddlab.report.figures.curve.Curve"}, "go by a name, as in recipe: curve"),
    "a recipe, too": ({**OWN, "recipe": "curve"}, r"figures\.f\.recipe: no such option of Spread"),
    "a type of its own": ({"_target_": f"{__name__}.Undrawable", "path": "x"}, r"figures\.f\.path: an option is text, a number"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_that_names_it(mistake):
    options, words = MISTAKES[mistake]
    with pytest.raises(ConfigError, match=words):
        make_recipe("f", options)


def test_code_that_lies_in_the_results_is_not_run(stored, monkeypatch, capsys):
    (stored / "theirs.py").write_text("raise SystemExit('ran')")
    monkeypatch.syspath_prepend(str(stored.absolute()))
    assert main(["report", "s", "+figures.g._target_=theirs.Figure"]) == 2
    assert "figures.g._target_=theirs.Figure: is code in the results directory, which is not run" in capsys.readouterr().err
