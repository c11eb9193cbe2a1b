"""The report's page, and every reference result drawn again."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from ddlab.errors import ConfigError
from ddlab.report.derived import read_results
from ddlab.report.figures import RECIPES, make_recipe
from ddlab.report.page import make_report
from ddlab.report.selection import in_words
from ddlab.store.provenance import add_provenance
from ddlab.store.results import load
from ddlab.store.store import Store
from tests.support import REFERENCE, typical_first

# Of these sweeps the figures are drawn; together they have every recipe.
DRAWN = (
    "mnist1d_quick",
    "modular_addition_weight_decay",
    "bias_variance",
    "nanda2023_progress_measures",
    "nakkiran2020_complexity",
    "nakkiran2020_regularised",
)
REDRAW = """
import sys
from ddlab.cli import main
for directory in sys.argv[1:]:
    assert main(["report", directory]) == 0, directory
print("jax" in sys.modules)
"""


def figures_of(name):
    """Return the figures of stored reference results, as their sweep asks for them."""
    return Store(REFERENCE / name).read_sweep()["figures"]


def test_reference_results_redraw_without_jax(tmp_path):
    for name in DRAWN:
        shutil.copytree(REFERENCE / name, tmp_path / name)
    done = subprocess.run([sys.executable, "-c", REDRAW, *DRAWN], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "False"
    for name in DRAWN:
        assert (tmp_path / name / "report" / "index.html").exists(), name
    assert {RECIPES[spec["recipe"]] for name in DRAWN for spec in figures_of(name).values()} == set(RECIPES.values())


@pytest.mark.parametrize("name", typical_first(sorted(path.name for path in REFERENCE.iterdir())))
def test_every_figure_of_the_reference_results_has_its_frame_and_its_chart(name):
    """The frame has no infinite number but a theory's; the chart is JSON."""
    results = read_results(REFERENCE / name)
    for figure, spec in figures_of(name).items():
        recipe = make_recipe(figure, spec)
        frame = recipe.frame(results)
        measured = frame[frame["kind"] == "simulation"].drop(columns="theory", errors="ignore") if "kind" in frame else frame
        assert len(measured) > 0
        assert not np.isinf(measured.select_dtypes("number").to_numpy(float)).any()
        assert json.loads(json.dumps(asdict(recipe.chart(frame)), allow_nan=False))["panels"]


def test_a_figure_that_cannot_be_drawn_is_status_1_and_the_others_are_drawn(tmp_path, capsys):
    directory = tmp_path / "quickstart"
    shutil.copytree(REFERENCE / "quickstart", directory)
    assert make_report(directory) == 0
    drawn = sorted(path.name for path in (directory / "report").glob("*.png"))
    shutil.rmtree(directory / "report")
    assert make_report(directory, ["+figures.empty.recipe=heatmap", "+figures.empty.where.seed=77"]) == 1
    assert "not drawn: figures.empty: no trial is planned with seed=77" in capsys.readouterr().err
    assert sorted(path.name for path in (directory / "report").glob("*.png")) == drawn


def test_a_figure_of_trials_that_were_never_planned_is_named_and_left_out(tmp_path, capsys):
    """As after `ddlab sweep quickstart quickstart=grokking`; the command line may not ask for it."""
    directory = tmp_path / "quickstart"
    shutil.copytree(REFERENCE / "quickstart", directory)
    store = Store(directory)
    plan = store.read_plan()
    store.write_plan(plan[plan["choices"].str.contains("grokking")])
    assert make_report(directory) == 0
    line = "figures.double_descent: no trial is planned with quickstart=double_descent (they have grokking)"
    printed = capsys.readouterr()
    assert f"not part of this run: {line}\n" in printed.out
    assert not printed.err
    assert f"<p>Not part of this run: {line}</p>" in (directory / "report" / "index.html").read_text()
    assert make_report(directory, ["figures.double_descent.title=T"]) == 1
    assert f"ddlab: not drawn: {line}\n" in capsys.readouterr().err


def test_a_selection_is_in_words_and_a_part_of_the_sweep_its_name_alone():
    where = {"quickstart": "double_descent", "data.label_noise": 0.2, "optimizer": "sgd", "trial_id": "t", "model.depth": None}
    assert in_words(where) == "double descent, label noise 0.2, optimizer sgd, trial id t, model.depth null"


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"nois": 3}, r"where\.nois=3: no such column\. did you mean 'data\.noise_seed'"),
        ({"model.width": "64"}, r"where\.model\.width=64: the column holds numbers"),
        ({"model.width": 64, "quickstart": "groking"}, r"with quickstart=groking \(they have double_descent, grokking\)"),
    ],
)
def test_a_selection_that_is_a_mistake_says_what_there_is(where, message):
    with pytest.raises(ConfigError, match=message):
        make_recipe("f", {"recipe": "heatmap", "where": where}).frame(load(REFERENCE / "quickstart"))


def test_the_page_escapes_what_it_shows_and_names_the_run(tmp_path):
    store = Store(tmp_path)
    head = {"name": "s", "title": "<b>T</b>", "paper": "P & Q", "shows": "x", "parts": [], "figures": {}, "claims": {}}
    store.write_sweep(head)
    sizes = {"num_params": 1, "num_train": 1, "num_outputs": 1, "level": 0, "parents": "[]", "room": 1}
    row = {
        "config": "{}",
        "choices": "{}",
        **sizes,
        "flops": 1.0,
        "estimated_seconds": 1.0,
        "level": 0,
        "parents": "[]",
        "room": 1,
    }
    store.write_plan(pd.DataFrame([{"trial_id": "t", "weights_id": "w", "pack": 0, **row}]))
    store.write_part(0, 0, {"trial_id": ["t"], "step": [0], "train_loss": [1.0]})
    add_provenance(store.provenance_file, {"command": "ddlab sweep s"})
    make_report(tmp_path)
    page = (store.report_directory / "index.html").read_text()
    assert "&lt;b&gt;T&lt;/b&gt;" in page
    assert "P &amp; Q" in page
    assert "ddlab sweep s" in page
