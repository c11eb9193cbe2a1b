"""Reports of results that somebody else has made: nothing is written outside their directory, resolved, or run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import matplotlib as mpl
import pandas as pd
import pytest
import yaml

from ddlab.cli import main
from ddlab.report.charts.draw import draw, render
from ddlab.report.figures import make_recipe
from ddlab.report.page import make_report
from ddlab.store.results import Results
from ddlab.store.store import Store
from tests.support import REFERENCE, SWEEP


@pytest.fixture
def stranger(workplace):
    """The results directory `s`, with one small figure `g` and no claims."""
    shutil.copytree(REFERENCE / "quickstart", "s")
    change(figures={"g": {"recipe": "steps_to_grok", "where": {"quickstart": "grokking"}}}, claims={})
    return Path("s")


def change(**entries):
    store = Store("s")
    store.write_sweep({**store.read_sweep(), **entries})


@pytest.mark.parametrize("name", ["g.csv", "g.png", "g.pdf", "g.svg", "index.html"])
def test_a_link_in_the_report_is_replaced_and_not_followed(stranger, name):
    Path("bashrc").write_text("mine")
    (stranger / "report").mkdir()
    (stranger / "report" / name).symlink_to(Path("bashrc").absolute())
    assert main(["report", "s"]) == 0
    assert Path("bashrc").read_text() == "mine"
    assert (stranger / "report" / name).stat().st_size > len("mine")
    assert not (stranger / "report" / name).is_symlink()


@pytest.mark.parametrize("there", [True, False])
def test_a_report_that_is_a_link_out_of_the_directory_is_refused_in_one_line(stranger, capsys, there):
    if there:
        Path("home").mkdir()
    (stranger / "report").symlink_to(Path("home").absolute())
    assert main(["report", "s"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("ddlab: s/report: is a link that leads out of the results directory, to ")
    assert error.count("\n") == 1
    assert not list(Path("home").glob("*"))


def test_links_that_stay_inside_or_lead_to_the_results_are_followed(stranger):
    Path("link").symlink_to("s")
    (stranger / "report").symlink_to("pictures")
    (stranger / "pictures").mkdir()
    assert main(["report", "link"]) == 0
    assert (stranger / "pictures" / "index.html").exists()


def test_nothing_of_a_stored_figure_is_resolved(stranger, monkeypatch):
    monkeypatch.setenv("SECRET", "hunter2")
    delay = {"recipe": "steps_to_grok", "where": {"quickstart": "grokking"}}
    change(figures={"g": {**delay, "title": "${oc.env:SECRET}"}, "h": delay})
    assert main(["report", "s", "figures.h.title=${oc.env:SECRET}"]) == 0
    page = (stranger / "report" / "index.html").read_text()
    assert "hunter2" not in page
    assert page.count("${oc.env:SECRET}") == 2


def test_text_that_a_spreadsheet_would_run_is_inert(stranger):
    label = "=HYPERLINK(1)"
    curve = {"label": label, "where": {"quickstart": "double_descent"}}
    change(figures={"g": {"recipe": "risk_curve", "x": "model.width", "curves": [curve]}})
    assert main(["report", "s"]) == 0
    table = pd.read_csv(stranger / "report" / "g.csv")
    assert set(table["curve"]) == {f"'{label}"}
    assert table["mean"].min() > 0


@pytest.mark.parametrize(
    ("option", "text"), [("title", r"$\frac{$"), ("x_label", r"$\badmath$"), ("title", "$x_{$"), ("title", "a\n$x_{$")]
)
def test_mathematics_that_cannot_be_drawn_is_one_line_that_names_the_option(option, text, stranger, capsys):
    assert main(["report", "s", "+figures.f.recipe=double_descent", f"+figures.f.{option}='{text}'"]) == 2
    error = capsys.readouterr().err
    assert f"figures.f.{option}=" in error
    assert "is not mathematics that can be drawn" in error
    assert error.count("\n") == 1


def test_names_that_are_no_mathematics_are_shown_as_they_are():
    trials = pd.DataFrame({"trial_id": ["a", "b"], "model.kind": ["$x{$", "US$ 5"], "x": [1, 2]})
    trials = trials.assign(seed=0, status="completed", last_step=1, num_outputs=1, params_per_sample=1.0)
    trials["train.loss"] = "mse"
    results = Results(trials, pd.DataFrame({"trial_id": ["a", "b"], "step": 1, "test_loss": [1.0, 2.0]}), SWEEP)
    recipe = make_recipe("f", {"recipe": "risk_curve", "x": "x", "group": "model.kind", "title": "$x$"})
    chart = recipe.chart(recipe.frame(results))
    figure = draw(chart)
    texts = {text.get_text(): text.get_parse_math() for text in figure.findobj(mpl.text.Text)}
    assert (texts["$x{$"], texts["$x$\ncolours: model.kind"]) == (False, True)
    assert len(render(chart)["png"]) > 1000


def test_a_matplotlibrc_of_the_working_directory_changes_no_figure(stranger):
    with mpl.rc_context({"text.usetex": True, "figure.dpi": 3}):
        assert make_report(stranger) == 0


HUGE = "x: &a [x, x, x, x, x, x, x, x, x]"
for letter, last in zip("bcdefgh", "abcdefg", strict=True):
    HUGE += f"\n{letter}: &{letter} [{', '.join([f'*{last}'] * 9)}]"

MISTAKES = {
    "a list of figures": ("figures: {g: [1]}", "figures.g=[1]: must be a mapping with a recipe"),
    "a number's name": ("figures: {5: {recipe: heatmap}}", "figures.5: a figure's name"),
    "a long name": (f"figures: {{{'g' * 101}: {{recipe: heatmap}}}}", "at most 100 letters"),
    "a number's option": ("figures: {g: {recipe: heatmap, 3: 4}}", "figures.g.3: no such option"),
    "a number's column": ("figures: {g: {recipe: heatmap, where: {3: 4}}}", "figures.g.where.3: must be the name of a column"),
    "a number too large": (
        f"figures: {{g: {{recipe: double_descent, where: {{seed: 1{'0' * 400}}}}}}}",
        "must be one value of",
    ),
    "huge title": (f"{HUGE}\nfigures: {{g: {{recipe: heatmap, title: *h}}}}", "damaged (RefusedYaml)"),
    "a claim that is text": ("claims: {c: peak}", "claims.c=peak: must be a mapping with a kind"),
    "a bound too large": (
        f"claims: {{c: {{kind: value, metric: m, source: s, between: [0, 1{'0' * 400}]}}}}",
        "claims.c.between=[0, a number too large]",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_is_stored_wrongly_is_one_short_line(mistake, stranger, capsys):
    """Written into sweep.yaml, the aliases of a few lines are values of 43 million parts."""
    text, words = MISTAKES[mistake]
    stored = yaml.safe_load(text)
    change(**{key: stored[key] for key in ("figures", "claims") if key in stored})
    assert main(["report" if "figures" in stored else "verify", "s"]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert len(error) < 700


@pytest.mark.parametrize("value", [[[1]], {"a": 1}])
@pytest.mark.parametrize("command", ["report", "verify"])
def test_a_column_of_lists_or_mappings_is_one_line(command, value, stranger, capsys):
    store = Store("s")
    plan = store.read_plan()
    plan["config"] = [json.dumps({**json.loads(config), "data.seed": value}) for config in plan["config"]]
    store.write_plan(plan)
    assert main([command, "s"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("ddlab: the stored trials are damaged: data.seed=")
    assert error.count("\n") == 1
