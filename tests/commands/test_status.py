"""`ddlab status`: what is stored, and names that look like markup."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ddlab.cli import main
from ddlab.commands.status import SHARES
from ddlab.store.provenance import add_provenance
from ddlab.store.store import Store

pytestmark = pytest.mark.usefixtures("fast_packs")

SWEEP = """\
defaults: [ddlab, _self_]
axes: {model.width: '3,5', seed: range(2)}
data: {num_train: 200, num_test: 100}
train: {steps: 4, batch_size: 20, num_evals: 3}
measures: {gradient_norm: null}
"""


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A results directory of two packs, the second of which is not finished."""
    directory = tmp_path_factory.mktemp("stored")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(directory)
        Path("mine.yaml").write_text(SWEEP)
        assert main(["sweep", "mine.yaml", "pack.max_trials=2"]) == 0
    (directory / "results/mine/trials/pack=00001.parquet").unlink()
    return directory / "results/mine"


def test_without_a_name_status_lists_what_is_stored(stored, workplace, capsys):
    for name in ("mine", "reference/one", "damaged"):
        shutil.copytree(stored, Path("results", name))
    Path("results/damaged/plan.parquet").unlink()
    assert main(["status"]) == 0
    lines = capsys.readouterr().out.splitlines()
    year = Store(stored).read_provenance()[-1]["time"][:4]
    assert lines[0].startswith("damaged        cannot be read: results/damaged/plan.parquet: missing")
    assert lines[1].startswith(f"mine           2 of 4 trials, last run {year}-")
    assert lines[2].startswith(f"reference/one  2 of 4 trials, last run {year}-")
    assert lines[3:] == ["", "Next: ddlab status NAME, or ddlab report NAME"]
    assert main(["status", "reference/one"]) == 0
    assert "4 trials: 2 completed, 2 pending" in capsys.readouterr().out


def test_a_directory_that_cannot_be_read_does_not_end_the_list(stored, workplace, capsys, monkeypatch):
    for name in ("mine", "locked"):
        shutil.copytree(stored, Path("results", name))
    read = Store.read_provenance

    def locked(self):
        if self.root.name == "locked":
            raise PermissionError(13, "Permission denied", "results/locked/provenance.json")
        return read(self)

    monkeypatch.setattr(Store, "read_provenance", locked)
    assert main(["status"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "locked  cannot be read: results/locked/provenance.json: Permission denied"
    assert lines[1].startswith("mine    2 of 4 trials, last run ")


@pytest.mark.parametrize(("seconds", "cell"), [(None, ""), (0, "0.0")])
def test_an_outcome_without_times_is_shown_without_shares(stored, workplace, capsys, monkeypatch, seconds, cell):
    read = Store.read_abouts

    def abouts(self):
        kept = {pack: {key: value for key, value in about.items() if key != "trial_steps"} for pack, about in read(self).items()}
        return (
            kept
            if seconds is None
            else {pack: {**about, **dict.fromkeys([*SHARES.values(), "trial_steps"], 0)} for pack, about in kept.items()}
        )

    monkeypatch.setattr(Store, "read_abouts", abouts)
    assert main(["status", str(stored)]) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "2 completed" in line and not line.startswith("4"))
    assert " ".join(line.split()[5:]) == cell
    assert "%" not in line


def test_with_nothing_stored_status_says_how_to_begin(workplace, capsys):
    assert main(["status"]) == 0
    assert capsys.readouterr().out == (
        "nothing is stored below ./results; ddlab list shows the sweeps, and ddlab sweep NAME trains one\n"
    )


@pytest.mark.parametrize("out", ["results/r[a]2", "results/[bold]x[/y]", "results/a :smile: [/x]"])
def test_names_that_look_like_markup_are_printed_as_they_are(stored, workplace, capsys, out):
    store = Store(shutil.copytree(stored, out))
    add_provenance(store.provenance_file, {"command": f"ddlab sweep mine.yaml 'out={out}'"})
    assert main(["status", out]) == 0
    printed = capsys.readouterr().out
    assert f"mine in {out}\n" in printed
    assert f"go on with: ddlab sweep mine.yaml 'out={out}'\n" in printed


def test_a_sweeps_name_that_looks_like_markup_is_planned_under_it(workplace, capsys):
    Path("[red]x[_y].yaml").write_text(SWEEP)
    assert main(["plan", "[red]x[_y].yaml", "seed=0"]) == 0
    assert "[red]x[_y]: 2 trials in 1 pack" in capsys.readouterr().out


def test_status_shows_what_is_done(tiny, capsys):
    main(["sweep", tiny, "seed=0", "train.steps=2"])
    capsys.readouterr()
    assert main(["status", tiny]) == 0
    assert "3 trials: 3 completed" in capsys.readouterr().out


def test_status_compares_the_estimate_with_where_the_time_went(tiny, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    main(["sweep", tiny, "train.steps=4000", "train.eval_spacing=linear", "train.num_evals=5"])
    capsys.readouterr()
    assert main(["status", "results/tiny"]) == 0
    printed = capsys.readouterr().out
    for word in ("mate", "actual", "trial-", "steps/s", "compile", "step", "eval", "host"):
        assert word in printed
    about = Store("results/tiny").read_abouts()[0]
    assert about["trial_steps"] == 6 * 4000
    parts = about["step_seconds"] + about["eval_seconds"] + about["host_seconds"]
    assert parts == pytest.approx(about["run_seconds"])


@pytest.mark.parametrize("command", ["status", "report", "verify"])
def test_a_sweep_that_was_not_run_says_where_its_reference_results_are(command, stored, workplace, capsys):
    """As in a fresh clone."""
    assert main([command, "quickstart"]) == 2
    assert "Reference results" not in capsys.readouterr().err
    shutil.copytree(stored, Path("results/reference/quickstart"))
    assert main([command, "quickstart"]) == 2
    assert "makes them. Reference results: ddlab report results/reference/quickstart\n" in capsys.readouterr().err
