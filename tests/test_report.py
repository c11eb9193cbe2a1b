"""Frames and figures, from metrics that are written down here and from the reference results."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ddlab.config import catalog
from ddlab.errors import ConfigError
from ddlab.report.claims import make_claim
from ddlab.report.figures import RECIPES, make_recipe
from ddlab.report.figures.double_descent import clear_peak, interpolation_threshold
from ddlab.report.frames import curves_over_seeds, first_step, sustained_step
from ddlab.report.metric_rows import metric_rows
from ddlab.report.page import make_report
from ddlab.report.specs import figure_specs, read_overrides
from ddlab.store.provenance import add_provenance
from ddlab.store.results import Results, load
from ddlab.store.store import Store
from tests.support import SWEEP

REFERENCE = Path(__file__).parent.parent / "results" / "reference"


@pytest.fixture
def results():
    """Four widths, two seeds: test loss 1, 3, 9, 5 (+-0.5) at the end; train error reaches zero at the third width."""
    trials, curves = [], []
    for k, (width, loss, error) in enumerate([(2, 1.0, 0.5), (4, 3.0, 0.2), (8, 9.0, 0.0), (16, 5.0, 0.0)]):
        for seed in (0, 1):
            trial = f"t{k}{seed}"
            shape = {"model.width": width, "num_params": 100 * width, "num_train": 100, "num_outputs": 10}
            ratio = {"params_per_sample": float(width), "train.loss": "cross_entropy", "data": "mnist1d"}
            trials.append({"trial_id": trial, "seed": seed, "status": "completed", "last_step": 100, **shape, **ratio})
            for step in (0, 1, 10, 100):
                at = {"train_error": error if step == 100 else 0.9, "test_error": 0.8 if step < 10 else 0.005}
                curves.append({"trial_id": trial, "step": step, "train_loss": 1.0, "test_loss": loss + seed - 0.5, **at})
    return Results(pd.DataFrame(trials), pd.DataFrame(curves), SWEEP)


def test_the_double_descent_frame_is_mean_and_deviation_over_seeds(results):
    frame = make_recipe("f", {"recipe": "double_descent", "x": "params_per_sample_output"}).frame(results)
    loss = frame[frame["metric"] == "test_loss"]
    assert loss["params_per_sample_output"].tolist() == [0.2, 0.4, 0.8, 1.6]
    assert loss["mean"].tolist() == [1, 3, 9, 5]
    np.testing.assert_allclose(loss["sd"], np.sqrt(0.5))
    assert interpolation_threshold(frame, "params_per_sample_output") == 0.8
    assert loss.loc[clear_peak(loss), "params_per_sample_output"] == 0.8


@pytest.mark.parametrize(
    ("means", "peak"),
    [([10, 4, 3, 6, 2], 3), ([1, 5, 0.1, 4.5, 1], 1), ([3, 2, 1], None), ([1, 2, 3], None), ([5, 1, 2], None), ([2.0], None)],
)
def test_a_peak_is_the_highest_point_that_the_curve_rises_to_and_falls_from(means, peak):
    assert clear_peak(pd.DataFrame({"mean": [float(mean) for mean in means], "sd": 0.0})) == peak


def test_a_bump_within_the_spread_of_the_seeds_is_no_peak():
    rows = pd.DataFrame({"mean": [0.70, 0.60, 0.62, 0.55], "sd": 0.015})
    assert clear_peak(rows) is None
    assert clear_peak(rows.assign(sd=0.005)) == 2


def test_no_threshold_is_claimed_where_train_error_never_is_zero(results):
    frame = make_recipe("f", {"recipe": "double_descent", "where": {"model.width": 2}}).frame(results)
    assert interpolation_threshold(frame, "params_per_sample") is None
    assert "never reaches zero" in make_recipe("f", {"recipe": "double_descent"}).caption(frame)


@pytest.fixture
def measured_rarely(results):
    """The same, `norm` measured at steps 0, 10 and 100 only; two trials of width 4 stopped at step 10."""
    stopped = results.trials["model.width"] == 4
    trials = results.trials.assign(status=np.where(stopped, "stopped", "completed"), last_step=np.where(stopped, 10, 100))
    curves = results.curves.assign(norm=results.curves["step"].map({0: 1.0, 1: np.nan, 10: 2.0, 100: 3.0}))
    return Results(trials, curves[(curves["step"] < 100) | ~curves["trial_id"].isin(set(trials.loc[stopped, "trial_id"]))], SWEEP)


def test_lines_are_drawn_through_measured_points_only(measured_rarely):
    curves = curves_over_seeds(measured_rarely, measured_rarely.trials, "model.width", ["norm"])
    assert curves[curves["group"] == 2][["step", "median"]].to_numpy().tolist() == [[0, 1], [10, 2], [100, 3]]
    assert curves[curves["group"] == 4][["step", "median"]].to_numpy().tolist() == [[0, 1], [10, 2]]
    rows = metric_rows(measured_rarely, {"model.width": 2}, "norm", ["step"])
    assert sorted(rows["step"]) == [10, 10, 100, 100]
    frame = make_recipe("f", {"recipe": "heatmap", "metric": "norm"}).frame(measured_rarely)
    assert set(frame["step"]) == {10, 100}
    assert not frame["norm"].isna().any()


def test_a_trial_that_stopped_where_a_metric_was_not_measured_has_no_final_value(measured_rarely):
    rare = measured_rarely.curves.assign(norm=measured_rarely.curves["norm"].where(measured_rarely.curves["step"] != 10))
    results = Results(measured_rarely.trials, rare, SWEEP)
    said = r"metric=norm: was not measured where 2 trials stopped early"
    with pytest.raises(ConfigError, match=said):
        make_recipe("f", {"recipe": "risk_curve", "metric": "norm", "x": "model.width"}).frame(results)
    with pytest.raises(ConfigError, match=said):
        make_recipe("f", {"recipe": "heatmap", "metric": "norm"}).frame(results)
    claim = {"kind": "value", "metric": "norm", "between": [0, 9], "source": "nobody", "where": {"model.width": 4}}
    verdict = make_claim("c", claim).verdict("c", results)
    assert verdict.status == "not enough data"
    assert "was not measured where 2 trials stopped early" in verdict.reason


def test_a_metric_stays_low_where_it_is_measured():
    curve = pd.DataFrame({"step": [0, 1, 2, 3, 4], "error": [0.9, 0.0, 0.5, np.nan, 0.0]})
    assert sustained_step(curve, "error", 0.01) == 4


def test_steps_to_learn():
    curve = pd.DataFrame({"step": [0, 1, 2, 3, 4], "error": [0.9, 0.0, 0.5, 0.01, 0.0]})
    assert first_step(curve, "error", 0.01) == 1
    assert sustained_step(curve, "error", 0.01) == 3
    assert np.isnan(sustained_step(curve, "error", -1))
    assert np.isnan(first_step(curve, "error", -1))


def test_the_grokking_frame_marks_memorisation_and_generalisation(results):
    frame = make_recipe("f", {"recipe": "grokking", "group": "model.width"}).frame(results)
    marks = frame.groupby("group")[["memorised", "generalised"]].first()
    assert marks["generalised"].tolist() == [10] * 4
    assert marks["memorised"].tolist() == [np.inf, np.inf, 100, 100]


def test_the_heat_map_frame_is_the_mean_over_seeds(results):
    frame = make_recipe("f", {"recipe": "heatmap", "metric": "test_loss"}).frame(results)
    assert sorted(frame["step"].unique()) == [1, 10, 100]
    assert frame.groupby("model.width")["test_loss"].mean().tolist() == [1, 3, 9, 5]


def test_a_trial_that_stopped_early_keeps_its_last_value_and_an_unfinished_one_does_not(results):
    cut = results.curves["step"] < 100
    for status, expected in (("stopped", 1.0), ("pending", 1.5)):
        results.trials.loc[results.trials["trial_id"] == "t00", ["status", "last_step"]] = [status, 10]
        shorter = Results(results.trials, results.curves[cut | (results.curves["trial_id"] != "t00")], SWEEP)
        frame = make_recipe("f", {"recipe": "heatmap", "metric": "test_loss"}).frame(shorter)
        assert frame.query("`model.width` == 2 and step == 100")["test_loss"].tolist() == [expected]


def test_a_final_metric_is_never_an_earlier_one(results):
    damaged = results.curves[(results.curves["trial_id"] != "t00") | (results.curves["step"] < 100)]
    frame = make_recipe("f", {"recipe": "double_descent"}).frame(Results(results.trials, damaged, SWEEP))
    assert frame.query("params_per_sample == 2")["trials"].tolist() == [1] * 4


def test_trials_that_differ_in_more_than_seeds_are_not_averaged(results):
    results.trials["optimizer.weight_decay"] = [0.0, 0.1] * 4
    for recipe in RECIPES:
        options = {"x": "model.width"} if "x" in RECIPES[recipe].__dataclass_fields__ else {}
        group = {"group": "model.width"} if recipe == "grokking" else {}
        with pytest.raises(ConfigError, match=r"where\.optimizer\.weight_decay=VALUE \(0\.0, 0\.1\)"):
            make_recipe("f", {"recipe": recipe, **options, **group}).frame(results)


def test_diverged_trials_are_not_averaged_in(results):
    results.trials.loc[results.trials["trial_id"] == "t00", "status"] = "diverged"
    frame = make_recipe("f", {"recipe": "double_descent"}).frame(results)
    assert frame[frame["params_per_sample"] == 2]["trials"].tolist() == [1] * 4


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"recipe": "double_decent"}, "did you mean 'double_descent'"),
        ({}, "no such recipe"),
        ({"recipe": "heatmap", "metrik": "x"}, "did you mean 'metric'"),
        ({"recipe": "grokking", "accuracy": "high"}, "must be a number"),
        ({"recipe": "grokking", "group": 3}, "must be text"),
        ({"recipe": "double_descent", "loss_scale": "lin"}, "must be linear or log"),
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
    with pytest.raises(ConfigError, match=r"no such option of risk_curve\. known: .*theory"):
        make_recipe("a", {"recipe": "risk_curve", "nonsense": 1})


def test_every_recipe_documents_its_options():
    for recipe in RECIPES.values():
        own = set(recipe.__dataclass_fields__) - {"title", "where"}
        assert recipe.__doc__ is not None
        assert all(f"{option}:" in recipe.__doc__ for option in own)


REDRAW = """
import sys
from ddlab.cli import main
for directory in sys.argv[1:]:
    assert main(["report", directory]) == 0, directory
print("jax" in sys.modules)
"""


def test_reference_results_redraw_without_jax(tmp_path):
    names = [path.stem for path in catalog.shipped("sweeps").glob("*.yaml")]
    for name in names:
        shutil.copytree(REFERENCE / name, tmp_path / name)
    done = subprocess.run([sys.executable, "-c", REDRAW, *names], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "False"
    assert names
    for name in names:
        assert (tmp_path / name / "report" / "index.html").exists(), name


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


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"nois": 3}, r"where\.nois=3: no such column\. did you mean 'data\.label_noise'"),
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
    sizes = {"num_params": 1, "num_train": 1, "num_outputs": 1}
    row = {"config": "{}", "choices": "{}", **sizes, "flops": 1.0, "estimated_seconds": 1.0}
    store.write_plan(pd.DataFrame([{"trial_id": "t", "weights_id": "w", "pack": 0, **row}]))
    store.write_part(0, 0, {"trial_id": ["t"], "step": [0], "train_loss": [1.0]})
    add_provenance(store.provenance_file, {"command": "ddlab sweep s"})
    make_report(tmp_path)
    page = (store.report_directory / "index.html").read_text()
    assert "&lt;b&gt;T&lt;/b&gt;" in page
    assert "P &amp; Q" in page
    assert "ddlab sweep s" in page
